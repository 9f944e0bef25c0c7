"""What is asked of a bundle: one file per kind of question, each with `findings(case)`. None knows the others."""
