import { userInfo } from 'node:os'

/** The user's home as ssh finds it: in the passwd entry, not in $HOME. Undefined for a user who has none. */
export function findHome(): string | undefined {
  try {
    return userInfo().homedir
  } catch {
    return undefined
  }
}
