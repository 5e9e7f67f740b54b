import type { Project } from '../look.ts'
import { go, rust } from './binary.ts'
import { django } from './django.ts'
import { flask } from './flask.ts'
import { flexmeasures } from './flexmeasures.ts'
import type { Kind } from './kind.ts'
import { make } from './make.ts'
import { isServer, node } from './node.ts'
import { php } from './php.ts'
import { staticSite } from './static.ts'

/** Those that say more about a project come first. */
export const kinds: readonly Kind[] = [flexmeasures, django, flask, php, go, rust, staticSite, node, make]

export const kindNamed = (name: string) => kinds.find(kind => kind.name === name)

/** The kinds that a project may be of, the likeliest first. A package.json or a Makefile beside another kind is a part of that. */
export function findKinds(project: Project): { readonly fitting: readonly Kind[]; readonly isClear: boolean } {
  const all = kinds.filter(kind => kind.fits(project))
  const first = all[0] === flexmeasures ? all.filter(kind => kind === flexmeasures || kind.isBeside) : all
  // A server of Node's with a page or two is no static site.
  const isNodeServer = project.packageJson !== undefined && isServer(project.packageJson)
  const fitting = isNodeServer ? first.filter(kind => kind !== staticSite) : first
  const own = fitting.filter(kind => !kind.isBeside)
  return { fitting, isClear: fitting.length > 0 && own.length <= 1 }
}
