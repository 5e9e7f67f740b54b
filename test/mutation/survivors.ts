/** Changes that no test can notice, and why. A mutant is named as the run names it, or by a part that stands for a class. */
export const survivors: readonly { readonly reason: string; readonly mutants: readonly (string | RegExp)[] }[] = [
  {
    reason: 'it is there for the types: where the expression does not match, all its parts are undefined',
    mutants: [
      /\.exec\(.*\?\? \[\[\] -> \["Stryker was here"\]\]$/,
      /^scripts\/lib\/protocol\/.*const \[.* = \['' -> "Stryker was here!"\].*\] = .*\.exec\(/,
    ],
  },
  {
    reason: 'no text but the empty one is tried in place of a missing one, and neither is a name here',
    mutants: [/\?\? \['' -> "Stryker was here!"\]/],
  },
  {
    reason: 'a ref and a line hold no line break, so that "." matches up to the end',
    mutants: [
      String.raw`scripts/lib/protocol/asks.ts: [/^refs\/heads\/(.+)$/ -> /^refs\/heads\/(.+)/].exec(ref)?.[1] ?? /^refs\/deploy-ask\/(.+)\/[^/]+$/.exec(ref)?.[1]`,
      'scripts/lib/protocol/verdict.ts: const unchecked = live ? [/^(?:(.*?), )?not checked: (.*)$/ -> /^(?:(.*?), )?not checked: (.*)/].exec(explanation) : null',
    ],
  },
]
