"""The data-copying test: whether a model draws its training clips again, asked of the model as a whole."""
