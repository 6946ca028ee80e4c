"""The gradient checker: `check_gradients` for one function, and `minise gradcheck` for random cases of everything.

`compare.py` holds an op's gradients against `finite_difference.py`. For the command, `cases.py` draws shapes and
options, `values.py` fills them; `search.py` looks for a case that fails and makes it small; `contract.py` says what
else an op must keep to; `diagnosis.py` says what is probably wrong; `suite.py` goes over all that minise has,
`user.py` over what a file has. Shapes are drawn by hypothesis, the extra `check`.
"""

from minise.gradcheck.compare import GradientComparison as GradientComparison
from minise.gradcheck.compare import GradientError as GradientError
from minise.gradcheck.compare import check_gradients as check_gradients
from minise.gradcheck.compare import compare_gradients as compare_gradients
