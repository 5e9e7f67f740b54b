import type { MutantByHand } from './mutant.ts'

const kept = ['test/hook/kept-state.test.ts']

/** The hook's repository, releases, work tree and turn. */
export const mutantsOfHookB: readonly MutantByHand[] = [
  {
    breaks: 'A state file is written anew where nothing has changed',
    file: 'scripts/lib/hook/state-file.ts',
    from: 'if (readStateFile(file) === content) return',
    to: '',
    tests: kept,
  },
  {
    breaks: 'A state file is written in place',
    file: 'scripts/lib/hook/state-file.ts',
    from: 'const temporary = ',
    to: 'const temporary = file || ',
    tests: kept,
  },
  {
    breaks: 'A state file is not on the disk before it has its name',
    file: 'scripts/lib/hook/state-file.ts',
    from: 'if (isLasting) fsyncSync(fd)',
    to: '',
    tests: kept,
  },
  {
    breaks: 'Others can read the journal',
    file: 'scripts/lib/hook/state-file.ts',
    from: "'w', 0o600",
    to: "'w'",
    tests: kept,
  },
  {
    breaks: 'Others can enter the folder of the state',
    file: 'scripts/lib/hook/state-file.ts',
    from: ', mode: 0o700',
    to: '',
    tests: kept,
  },
  {
    breaks: 'A release whose folder is not ours any more passes for whole',
    file: 'scripts/lib/hook/releases.ts',
    from: 'isState(state) && this.workTree.isLinked()',
    to: 'isState(state)',
    tests: kept,
  },
  {
    breaks: "A damaged release's state is believed",
    file: 'scripts/lib/hook/releases.ts',
    from: 'isState(state) && this.workTree.isLinked()',
    to: '(!isState || this.workTree.isLinked())',
    tests: kept,
  },
  {
    breaks: "The live commit's release is used again where the link was led elsewhere",
    file: 'scripts/lib/hook/releases.ts',
    from: 'const needed = [serving?.path, complete?.path, served?.folder]',
    to: 'const needed = [serving?.path, served?.folder]',
    tests: kept,
  },
  {
    breaks: 'A release is used again although a process runs from it, and another is free',
    file: 'scripts/lib/hook/releases.ts',
    from: 'others.find(each => !isInUse(each, processes)) ?? others[0]',
    to: 'others[0]',
    tests: kept,
  },
  {
    breaks: 'A power cut can lead the link back',
    file: 'scripts/lib/hook/releases.ts',
    from: 'sync(dirname(this.#link))',
    to: '',
    tests: kept,
  },
  {
    breaks: 'What a rollback has gone back from counts as live',
    file: 'scripts/lib/hook/releases.ts',
    from: 'each.updateState({ live: undefined })',
    to: 'each.updateState({})',
    tests: kept,
  },
  {
    breaks: 'A link that cannot be replaced is found out at the switch',
    file: 'scripts/lib/hook/releases.ts',
    from: 'accessSync(dirname(this.#link), constants.W_OK)',
    to: '',
    tests: kept,
  },
  {
    breaks: 'A folder that becomes a release keeps what was installed for its old path',
    file: 'scripts/lib/hook/releases.ts',
    from: "rmSync(join(ownFolder(this.#gitDir, to), 'release'), { force: true })",
    to: '',
    tests: kept,
  },
]
