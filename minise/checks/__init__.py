"""`minise gradcheck`: random cases for every op, layer and model, and for anything of the user's.

`cases.py` draws shapes and options, `values.py` fills them; `search.py` looks for a case that fails and makes
it small; `contract.py` says what else an op must keep to; `diagnosis.py` says what is probably wrong; `suite.py` goes
over all that minise has, `user.py` over what a file has. Shapes are drawn by hypothesis, the extra `check`.
"""
