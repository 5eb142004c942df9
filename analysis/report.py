"""Makes RUN/report/ with nothing of this tree installed: python analysis/report.py RUN"""

import sys

from moesweep.report import main

sys.exit(main())
