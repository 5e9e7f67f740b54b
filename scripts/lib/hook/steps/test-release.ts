import { Failure } from '../../shared/program.ts'
import type { StepContext } from '../context.ts'
import { isInRelease } from '../wsgi.ts'
import { goesBeyondCode } from './step.ts'

export const name = 'TESTING RELEASE'

export const isNeeded = (context: StepContext) =>
  context.plan.code && goesBeyondCode(context.plan) && smokeTestOf(context) !== ''

export async function run(context: StepContext): Promise<void> {
  try {
    await context.shell.run(smokeTestOf(context), loadWsgi)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const { exitCode, message, why, fix } = error
    const mend = 'mend it, or set SMOKE_TEST to another command; empty: no test'
    throw new Failure(exitCode, message, { why, fix: fix || mend, cause: error })
  }
}

/** By default it loads the WSGI file, if that is Python's and the release's: what fails to load never gets a request. */
function smokeTestOf({ releases, release, releaseSettings: { SMOKE_TEST, PATH_TO_WSGI } }: StepContext): string {
  if (SMOKE_TEST !== undefined) return SMOKE_TEST
  const canBeLoaded = !releases.isInPlace && PATH_TO_WSGI?.endsWith('.py') && isInRelease(PATH_TO_WSGI, release)
  return canBeLoaded ? 'python3 -c "$LOAD_WSGI" "$PATH_TO_WSGI" "$PWD"' : ''
}

/**
 * A variable of the smoke test, so that its failure does not quote it. Servers name the module from the folder in which
 * the outermost package lies, and have that folder first on sys.path. A folder without __init__.py may be a package of the
 * release, or be such a folder itself.
 */
const loadWsgi = {
  LOAD_WSGI: `
import importlib.util, os, runpy, sys
file, release = sys.argv[1:]
del sys.argv[1:]
folder = root = os.path.dirname(file)
while root != release and os.path.exists(os.path.join(root, "__init__.py")):
    root = os.path.dirname(root)
path = [root]
if root == folder != release:
    root = release
    path.insert(0, root)
names = os.path.relpath(file[:-len(".py")], root).split(os.sep)
sys.path[:1] = path
spec = importlib.util.find_spec(names[0]) if all(map(str.isidentifier, names)) else None
found = [spec.origin, *(spec.submodule_search_locations or [])] if spec else []
if file in found or os.path.join(root, names[0]) in found:
    importlib.import_module(".".join(names))
else:
    sys.path[:len(path)] = [folder]
    runpy.run_path(file, run_name="wsgi")`,
}
