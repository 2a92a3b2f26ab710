"""What screens are made of, one widget a file: it takes plain rows of the viewmodel and holds no client."""
