"""`python benchmarks/render.py [--json]` is `cleanmails bench render`: what one mail costs."""

import sys

from cleanmails.bench.render import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
