// For npm: what a CI and its owner run. The hook is for servers, which need no Node.
import { start } from './start.ts'

start({
  deploy: () => import('../../scripts/deploy.ts'),
  'setup-ssh': () => import('../../scripts/setup-ssh.ts'),
})
