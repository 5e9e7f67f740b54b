import sys
from os.path import dirname, realpath

# Where the folder is a link to the live release: what is imported later has to come from this one.
sys.path[:] = [dirname(realpath(__file__)), *map(realpath, sys.path)]

from app import create as create_app  # noqa: E402

application = create_app()
