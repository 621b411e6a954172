"""The figures that the project is held to: each group measures, `run.py` judges, keeps and prints them."""
