import { exitCode, Failure } from './program.ts'

// The first import of each program: where the current directory was removed nothing works, and zx does not even load.
try {
  process.cwd()
} catch {
  const fix = 'change to a directory that is there'
  process.stderr.write(`${new Failure(exitCode.usage, 'The current directory is not there any more.', { fix })}\n`)
  process.exit(exitCode.usage)
}
