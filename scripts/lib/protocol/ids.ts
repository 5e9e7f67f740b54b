/** A commit's whole id, by SHA-1 or SHA-256, as a part of a regular expression. */
export const wholeId = '(?:[0-9a-f]{40}|[0-9a-f]{64})'
/** A whole id, or as much of its beginning as git takes for one. */
export const partOfId = '[0-9a-f]{4,64}'

const onlyWholeId = new RegExp(`^${wholeId}$`)
const onlyPartOfId = new RegExp(`^${partOfId}$`)

export const isCommitId = (text: string | undefined): text is string => onlyWholeId.test(text ?? '')
export const isPartOfId = (text: string) => onlyPartOfId.test(text)

/** What git has in an id's place where there is no object: a ref that is new, or that is deleted. */
export const isZeroId = (id: string) => /^0+$/.test(id)

/** The tree without files, whose id every git knows without having the object. */
export const emptyTrees: readonly string[] = [
  '4b825dc642cb6eb9a060e54bf8d69288fbee4904',
  '6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321',
]
