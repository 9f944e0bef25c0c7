"""What is handed in: records, predictions, sketches of features and a card in one file, and what is asked of it.

A bundle is data of a stranger: it is read within limits, nothing in it is executed, and nothing is unpacked to a place
that it names.
"""
