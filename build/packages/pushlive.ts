// For wheels and Debian packages: all three, as a binary that can be copied to hooks/post-receive as well.
import { start } from './start.ts'

start({
  deploy: () => import('../../scripts/deploy.ts'),
  'setup-ssh': () => import('../../scripts/setup-ssh.ts'),
  'post-receive': () => import('../../scripts/post-receive.ts'),
})
