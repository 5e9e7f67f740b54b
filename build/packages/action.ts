// For GitHub, Gitea and Forgejo: deploy as an action, with its inputs. No other program takes anything from INPUT_*.
import { takeActionInputs } from '../../scripts/lib/deploy/action-inputs.ts'

process.argv.splice(2, 0, ...takeActionInputs())
import('../../scripts/deploy.ts')
