"""What an attacker may hand in: a table of cases, each built by code when it is asked for, and what each meets.

base       Case and Arena: a folder, and a payload that would leave a file behind if anything executed it
archives   tars that are not what they seem
texts      JSON and TOML that are too deep, too long, or of two meanings
arrays     tables, sketches and weights that execute, explode or lie
claims     records, cards and predictions that are not what was measured
notes      verifications and signatures of those who may not give them
words      names and notes that would be markup, formulas or commands elsewhere
"""
