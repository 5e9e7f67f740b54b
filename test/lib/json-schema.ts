import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'

/** What a JSON Schema says of a value, as far as ours says it. */
export interface Schema {
  readonly description?: string
  readonly type?: string | readonly string[]
  readonly $ref?: string
  readonly anyOf?: readonly Schema[]
  readonly items?: Schema
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly $defs?: Readonly<Record<string, Schema>>
}

export const schemaFile = join(import.meta.dirname, '../../docs/json.schema.json')
const text = readFileSync(schemaFile, 'utf8')
export const schema: Schema & { readonly $id: string } = JSON.parse(text)

/** Others may get fields that are new. Of ours, each has to be in the schema. */
const closed = JSON.parse(text, (_, value) => (value?.properties ? { ...value, additionalProperties: false } : value))
const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true }).addSchema(closed)

/** Parses what `deploy --json` has printed. @throws AssertionError where it is not as docs/json.schema.json says */
export function parseJson(what: 'deploy' | 'check' | 'status' | 'history' | 'record', printed: string) {
  const value = JSON.parse(printed)
  const isRight = ajv.validate(`${schema.$id}#/$defs/${what}`, value)
  assert.ok(isRight, `${ajv.errorsText()}\n${printed}`)
  return value
}
