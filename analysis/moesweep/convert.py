"""Makes a questions file of `moesweep xici` from a public dataset: see xici/convert.py.

    python -m moesweep.convert LAYOUT FILE... -o questions.jsonl
"""

import sys

from .xici.convert import main

if __name__ == "__main__":
    sys.exit(main())
