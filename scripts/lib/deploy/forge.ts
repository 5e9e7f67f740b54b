/** Where a repository is shown on the web. */
export interface Forge {
  readonly commit: (id: string) => string
  readonly compare: (from: string, to: string) => string
}

/** What follows a repository's address: in the address of a run, of a commit and of what is between two. */
const forges = [
  // GitHub, Gitea, Forgejo.
  {
    run: /\/actions\/runs\/\d+.*$/,
    commit: '/commit/',
    compare: (from: string, to: string) => `/compare/${from}...${to}`,
  },
  // GitLab.
  {
    run: /\/-\/(jobs|pipelines)\/\d+.*$/,
    commit: '/-/commit/',
    compare: (from: string, to: string) => `/-/compare/${from}...${to}`,
  },
  // Bitbucket.
  {
    run: /\/pipelines\/results\/\d+.*$/,
    commit: '/commits/',
    compare: (from: string, to: string) => `/branches/compare/${to}..${from}`,
  },
] as const

/** The forge that a deployment's run was in. Woodpecker's address does not tell where the repository is. */
export function findForge(run: string | undefined): Forge | undefined {
  const forge = forges.find(forge => run !== undefined && forge.run.test(run))
  if (run === undefined || forge === undefined) return undefined
  const repository = run.replace(forge.run, '')
  return {
    commit: id => repository + forge.commit + id,
    compare: (from, to) => repository + forge.compare(from, to),
  }
}
