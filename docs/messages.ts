// Makes docs/messages.md: what the programs say where something is wrong, by exit code, and what they say to do. It reads the
// sources as the compiler does: words that are a constant's or a caller's are found there.
import { globSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as ts from 'typescript/unstable/ast'
import { API, type Checker, SymbolFlags } from 'typescript/unstable/sync'
import { exitCode } from '../scripts/lib/shared/program.ts'

const root = join(import.meta.dirname, '..')
export const page = join(import.meta.dirname, 'messages.md')

export interface Message {
  readonly code: number
  /** `...` is what differs from case to case. */
  readonly what: string
  /** What to do; one or the other, where it depends. */
  readonly fixes: ReadonlySet<string>
}

/** In the order of the sources. */
export function findMessages(): Message[] {
  const api = new API({ cwd: root })
  try {
    const [project] = api.updateSnapshot({ openProjects: [join(root, 'tsconfig.json')] }).getProjects()
    if (project === undefined) throw new Error('tsconfig.json is no project')
    const finder = new MessageFinder(project.checker)
    for (const file of globSync('scripts/**/*.ts', { cwd: root }).sort()) {
      const source = project.program.getSourceFile(join(root, file))
      // What the hook finds wrong is a reason why a commit is not live.
      if (source) finder.look(source, file.startsWith('scripts/lib/hook/') ? exitCode.failed : exitCode.usage)
    }
    return [...finder.found.values()]
  } finally {
    api.close()
  }
}

/** What a function's parameters are in one of its calls. */
type Call = ReadonlyMap<ts.Node, ts.Expression>

class MessageFinder {
  readonly found = new Map<string, Message & { fixes: Set<string> }>()
  readonly #checker: Checker

  constructor(checker: Checker) {
    this.#checker = checker
  }

  /** @param code of what is no error by itself */
  look(node: ts.Node, code: number): void {
    if (ts.isNewExpression(node) || ts.isCallExpression(node)) this.#lookAtError(node, node.arguments ?? [], code)
    else if (ts.isArrayLiteralExpression(node) && node.elements.length === 4)
      this.#lookAtError(node, node.elements, code)
    else if (ts.isObjectLiteralExpression(node)) this.#lookAtObject(node, code)
    else if (isText(node)) {
      for (const text of this.#texts(node)) {
        const [, what = '', fix = ''] =
          /^(?:.*\b(?:echo|printf)\b.* ")?(.+?)[.;]? To do: (.+?)(?:(?<!\.)\.|" >&2)?$/m.exec(text) ?? []
        this.#add(code, what, [fix])
      }
    }
    node.forEachChild(child => void this.look(child, code))
  }

  /** `exitCode.usage, 'What is wrong.', { why, fix }`, also `fix` alone, and `new Error('is wrong')` of a setting, whose name it follows. */
  #lookAtError(node: ts.Node, items: readonly ts.Expression[], code: number) {
    const at = items.findIndex(item => codesOf(item).length > 0)
    const isOfSetting = ts.isNewExpression(node) && node.expression.getText() === 'Error'
    const [codes, what, options] =
      at >= 0 ? [codesOf(items[at] as ts.Expression), ...items.slice(at + 1)] : isOfSetting ? [[code], items[0]] : []
    if (codes === undefined || what === undefined) return
    for (const call of this.#callsOf(node, [what, options])) {
      const fixes =
        options && ts.isObjectLiteralExpression(options)
          ? this.#property(options, 'fix', call)
          : options
            ? this.#texts(options, call)
            : []
      for (const text of this.#texts(what, call)) {
        if (!isOfSetting) for (const code of codes) this.#add(code, text, fixes)
        else if (/^(is|has|names|begins) /.test(text)) this.#add(code, `... ${text}`, [])
      }
    }
  }

  /** A check or a lack, with `fix`, and the hook's verdict. */
  #lookAtObject(node: ts.ObjectLiteralExpression, code: number) {
    const names = node.properties.map(nameOf)
    const isRed = node.properties.some(property => property.getText() === 'live: false')
    const words = isRed ? ['explanation'] : names.includes('fix') ? ['found', 'what'] : []
    const said = words.find(name => names.includes(name))
    if (said === undefined) return
    for (const call of this.#callsOf(node, [node])) {
      const fixes = this.#property(node, 'fix', call)
      for (const text of this.#property(node, said, call))
        this.#add(said === 'what' ? code : exitCode.failed, text, fixes)
    }
  }

  #add(code: number, what: string, fixes: readonly string[]) {
    const [text = '', ...todo] = [what, ...fixes].map(each =>
      (each.split('\n')[0] as string).replace(/\.\.\.(\W*\.\.\.)+|\.{4}(?!\w)/g, '...'),
    )
    if (!/\w{3}/.test(text)) return
    const known = this.found.get(`${code} ${text}`) ?? { code, what: text, fixes: new Set<string>() }
    for (const fix of todo) if (/\w/.test(fix)) known.fixes.add(fix)
    this.found.set(`${code} ${text}`, known)
  }

  #property(object: ts.ObjectLiteralExpression, name: string, call: Call): string[] {
    const [property] = object.properties.filter(each => nameOf(each) === name)
    if (property === undefined) return []
    if (ts.isPropertyAssignment(property)) return this.#texts(property.initializer, call)
    return this.#textsOf(this.#checker.getShorthandAssignmentValueSymbol(property)?.valueDeclaration?.resolve(), call)
  }

  /** All that an expression may say. */
  #texts(node: ts.Node, call: Call = new Map()): string[] {
    if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) return [node.text]
    if (ts.isParenthesizedExpression(node)) return this.#texts(node.expression, call)
    if (ts.isConditionalExpression(node))
      return [node.whenTrue, node.whenFalse].flatMap(each => this.#texts(each, call))
    if (ts.isTemplateExpression(node)) {
      const parts = node.templateSpans.map(({ expression, literal }) => {
        const [text = '', ...others] = this.#texts(expression, call)
        return `${others.length > 0 ? '...' : text}${literal.text}`
      })
      return [node.head.text + parts.join('')]
    }
    if (!ts.isIdentifier(node)) return ['...']
    const symbol = this.#checker.getSymbolAtLocation(node)
    const meant = symbol && symbol.flags & SymbolFlags.Alias ? this.#checker.getAliasedSymbol(symbol) : symbol
    return this.#textsOf(meant?.valueDeclaration?.resolve(), call)
  }

  #textsOf(declaration: ts.Node | undefined, call: Call): string[] {
    const given = declaration && call.get(declaration)
    if (given) return this.#texts(given)
    const isConstant = declaration && ts.isVariableDeclaration(declaration) && ts.isIdentifier(declaration.name)
    return isConstant && declaration.initializer ? this.#texts(declaration.initializer, call) : ['...']
  }

  /** The calls of the function around a message, if its parameters are the message's words. */
  #callsOf(node: ts.Node, words: readonly (ts.Node | undefined)[]): Call[] {
    let around = node.parent
    while (!ts.isSourceFile(around) && !ts.isFunctionDeclaration(around) && !ts.isArrowFunction(around))
      around = around.parent
    const { parameters, name } = ts.isSourceFile(around)
      ? {}
      : ts.isFunctionDeclaration(around)
        ? around
        : {
            parameters: around.parameters,
            name: ts.isVariableDeclaration(around.parent) ? around.parent.name : undefined,
          }
    const names = parameters?.map(each => each.name.getText()) ?? []
    const isUsed = (each: ts.Node): boolean =>
      (ts.isIdentifier(each) && names.includes(each.text)) ||
      each.forEachChild(child => isUsed(child) || undefined) === true
    if (name === undefined || parameters === undefined || !words.some(each => each && isUsed(each))) return [new Map()]
    return this.#checker
      .getReferencedSymbolsForNode(name, name.getStart())
      .flatMap(({ references }) => references.map(each => each.resolve()?.parent))
      .filter(each => each !== undefined && ts.isCallExpression(each))
      .map(
        each =>
          new Map(
            parameters.flatMap((parameter, index) => {
              const argument = (each as ts.CallExpression).arguments[index]
              return argument ? [[parameter, argument] as const] : []
            }),
          ),
      )
  }
}

const nameOf = (property: ts.ObjectLiteralElementLike) =>
  ts.isSpreadAssignment(property) ? undefined : property.name.getText()
const isText = (node: ts.Node) =>
  ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node) || ts.isTemplateExpression(node)

/** Which exit codes an expression is; none where it is something else. */
function codesOf(node: ts.Node): number[] {
  const [, one, other] = /^(?:\w+ \? )?exitCode\.(\w+)(?: : exitCode\.(\w+))?$/.exec(node.getText()) ?? []
  return [one, other].flatMap(name => exitCode[name as keyof typeof exitCode] || [])
}

const titles: Readonly<Record<number, string>> = {
  [exitCode.failed]: 'it is not live',
  [exitCode.usage]: 'settings, usage or the clone are wrong',
  [exitCode.unreachable]: 'the server was not reached',
  [exitCode.refused]: 'git refused the push',
  [exitCode.unknown]: 'no verdict',
}

export function makePage(messages = findMessages()): string {
  const code = (text: string) => (text.includes('`') ? `\`\` ${text} \`\`` : `\`${text}\``)
  const cell = (text: string) => text.replaceAll('|', '\\|')
  const tables = Object.entries(titles).map(([number, title]) => {
    const rows = messages
      .filter(({ code }) => code === Number(number))
      .map(({ what, fixes }) => `| ${cell(code(what))} | ${cell([...fixes].join('; or: '))} |\n`)
    return `## ${number}: ${title}\n\n| the message | to do |\n|---|---|\n${rows.join('')}`
  })
  return `# Messages

All that the programs say where something is wrong, by [exit code](troubleshooting.md), and what they say to do. Many have
git's, ssh's or a step's words below them, which say why. \`...\` is what differs from case to case. \`node docs/messages.ts\`
makes this page from the sources. [Troubleshooting](troubleshooting.md) says more about what people meet most.

${tables.join('\n')}`
}

if (import.meta.main) writeFileSync(page, makePage())
