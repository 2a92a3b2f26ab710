"""What fills the terminal, one screen a file: a screen asks the app for data and lays out widgets."""
