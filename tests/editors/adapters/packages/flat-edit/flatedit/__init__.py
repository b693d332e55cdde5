"""Small editors in the form that EasyEdit gives its own."""
