// Makes the tables of docs/json.md from docs/json.schema.json, which the tests compare with what the programs print.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Schema, schema } from '../test/lib/json-schema.ts'

export const jsonPage = join(import.meta.dirname, 'json.md')

const definitions = schema.$defs ?? {}
const nameOf = ({ $ref = '' }: Schema) => $ref.replace('#/$defs/', '')

/** The types that a value may have, in words. What is no object is described where it is used. */
function describeType(value: Schema): string {
  if (value.anyOf) return value.anyOf.map(describeType).join(' or ')
  if (value.items) return `list of ${describeType(value.items)}`
  if (value.enum) return value.enum.map(one => `\`${one}\``).join(', ')
  if (value.$ref) {
    const target = definitions[nameOf(value)] ?? {}
    return target.properties ? `[${nameOf(value)}](#${nameOf(value)})` : describeType(target)
  }
  if (value.const !== undefined) return `\`${value.const}\``
  return [value.type].flat().join(' or ')
}

const describe = (value: Schema) =>
  value.description ?? (value.anyOf ?? [value]).map(one => definitions[nameOf(one)]?.description).find(Boolean) ?? ''

function describeDefinition([name, value]: [string, Schema]): string[] {
  const { description = '' } = value
  const head = `## ${name}\n\n${description.charAt(0).toUpperCase()}${description.slice(1)}.\n`
  if (value.items) return [`${head}\nA ${describeType(value)}.\n`]
  if (!value.properties) return []
  const rows = Object.entries(value.properties).map(([field, of]) => {
    const type = describeType(of)
    return `| \`${field}\` | ${type} | ${value.required?.includes(field) ? 'yes' : ''} | ${describe(of)} |\n`
  })
  return [`${head}\n| field | type | always there | meaning |\n|---|---|---|---|\n${rows.join('')}`]
}

/** The page with its tables up to date. */
export const remakeJsonPage = (text: string): string =>
  text.replace(
    /(?<=<!-- made by docs\/json.ts -->\n).*?(?=<!-- end -->)/s,
    () => `\n${Object.entries(definitions).flatMap(describeDefinition).join('\n')}\n`,
  )

if (import.meta.main) writeFileSync(jsonPage, remakeJsonPage(readFileSync(jsonPage, 'utf8')))
