"""The verbs of the command line as functions: the layers below put together, without parsing or printing."""
