import sys
from os.path import dirname, realpath

# If the folder is a link to the live release, modules that are imported later have to come from the same release.
sys.path[:] = [dirname(realpath(__file__)), *map(realpath, sys.path)]

from app import create as create_app  # noqa: E402

application = create_app()
