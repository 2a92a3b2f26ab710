"""The loops of requests to people: asked, told where people are, decided once. The one function that decides is in `deciding`."""
