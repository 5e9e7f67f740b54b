/** examples/github/deploy.yml. */
export const githubDeploy = `# .github/workflows/deploy.yml: pushes main to STAGING_REMOTE_REPO. Only lint-and-test.yml calls it, after its tests passed.
#
# Store these in Settings, Secrets and variables, Actions. \`setup-ssh --github OWNER/REPO\` does it; without --github it
# prints the values:
#   secret     SSH_DEPLOYMENT_KEY
#   variables  STAGING_REMOTE_REPO, KNOWN_DEPLOYMENT_HOSTS; PROXY_JUMP, if you have a jump host; APP_URL, the application's address
# If an address were a secret, logs would show *** in its place.
name: deploy

on:
  workflow_call:
    secrets:
      SSH_DEPLOYMENT_KEY:
        required: true
    outputs:
      commit:
        description: The commit that is live
        value: \${{ jobs.deploy.outputs.commit }}
      url:
        description: The application's address
        value: \${{ jobs.deploy.outputs.url }}
      seconds:
        description: How long the server's steps took
        value: \${{ jobs.deploy.outputs.seconds }}

permissions:
  contents: read

jobs:
  deploy:
    runs-on: ubuntu-latest
    # GitHub never cancels a running deployment. Of those that wait it keeps the newest, which contains the others.
    concurrency:
      group: deploy-main
      cancel-in-progress: false
    # Set rules for this environment (branches, reviewers) in Settings, Environments. GitHub shows its address with the run.
    environment:
      name: production
      url: \${{ steps.deploy.outputs.url }}
    outputs:
      commit: \${{ steps.deploy.outputs.commit }}
      url: \${{ steps.deploy.outputs.url }}
      seconds: \${{ steps.deploy.outputs.seconds }}
    steps:
      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0
        with:
          # The whole history and the tags: a shallow clone cannot be pushed.
          fetch-depth: 0
          persist-credentials: false
      # Unpack a release's pushlive-action.tar.gz (0.2 MB) in this folder, and commit it.
      - name: Deploy
        id: deploy
        uses: ./.github/actions/pushlive
        with:
          branch-name: main
          staging-remote-repo: \${{ vars.STAGING_REMOTE_REPO }}
          known-deployment-hosts: \${{ vars.KNOWN_DEPLOYMENT_HOSTS }}
          ssh-deployment-key: \${{ secrets.SSH_DEPLOYMENT_KEY }}
          proxy-jump: \${{ vars.PROXY_JUMP }}
          app-url: \${{ vars.APP_URL }}
`

/** examples/github/lint-and-test.yml. */
export const githubTest = `# .github/workflows/lint-and-test.yml: a commit on main that passes here goes live.
name: lint and test

on:
  push:
    branches: [main]
  pull_request:

permissions:
  contents: read

jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0
        with:
          persist-credentials: false
      - run: make install-deps
      # Your own checks: only what passes them goes live.
      - run: make lint
      - run: make test

  deploy:
    needs: test
    if: github.event_name == 'push' && github.ref == 'refs/heads/main'
    uses: ./.github/workflows/deploy.yml
    secrets:
      SSH_DEPLOYMENT_KEY: \${{ secrets.SSH_DEPLOYMENT_KEY }}

  # Runs once the commit is live, for example to notify others. Leave it out if you need nothing here.
  live:
    needs: deploy
    runs-on: ubuntu-latest
    steps:
      - run: echo "$COMMIT is live at $URL after $SECONDS_TAKEN s"
        env:
          COMMIT: \${{ needs.deploy.outputs.commit }}
          URL: \${{ needs.deploy.outputs.url }}
          SECONDS_TAKEN: \${{ needs.deploy.outputs.seconds }}
`

/** examples/forgejo/deploy.yml. */
export const forgejo = `# .forgejo/workflows/deploy.yml (Gitea: .gitea/workflows/deploy.yml): a commit on main that passes the tests goes live.
#
# Store these in Settings, Actions; setup-ssh prints the values:
#   secret     SSH_DEPLOYMENT_KEY
#   variables  STAGING_REMOTE_REPO, KNOWN_DEPLOYMENT_HOSTS; PROXY_JUMP, if you have a jump host; APP_URL, the application's address
name: test and deploy

on:
  push:
    branches: [main]
  pull_request:

permissions:
  contents: read

# If the forge supports this (Gitea from 1.26), runs wait for each other. If not, nothing is lost: deployments take turns on
# your server, and of those that wait only the newest is deployed.
concurrency:
  group: deploy-\${{ github.ref }}
  cancel-in-progress: false

jobs:
  test:
    # A label of your runners. Its image needs what your tests need.
    runs-on: docker
    steps:
      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0
        with:
          persist-credentials: false
      - run: make install-deps
      # Your own checks: only what passes them goes live.
      - run: make lint
      - run: make test

  deploy:
    needs: test
    if: github.event_name == 'push' && github.ref == 'refs/heads/main'
    # The image needs git, ssh, bash and Node, such as node:24.
    runs-on: docker
    outputs:
      commit: \${{ steps.deploy.outputs.commit }}
      url: \${{ steps.deploy.outputs.url }}
      seconds: \${{ steps.deploy.outputs.seconds }}
    steps:
      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0
        with:
          # The whole history and the tags: a shallow clone cannot be pushed.
          fetch-depth: 0
          persist-credentials: false
      # Unpack a release's pushlive-action.tar.gz (0.2 MB) in this folder, and commit it.
      - name: Deploy
        id: deploy
        uses: ./.forgejo/actions/pushlive
        with:
          branch-name: main
          staging-remote-repo: \${{ vars.STAGING_REMOTE_REPO }}
          known-deployment-hosts: \${{ vars.KNOWN_DEPLOYMENT_HOSTS }}
          ssh-deployment-key: \${{ secrets.SSH_DEPLOYMENT_KEY }}
          proxy-jump: \${{ vars.PROXY_JUMP }}
          app-url: \${{ vars.APP_URL }}

  # Runs once the commit is live, for example to notify others. Leave it out if you need nothing here.
  live:
    needs: deploy
    runs-on: docker
    steps:
      - run: echo "$COMMIT is live at $URL after $SECONDS_TAKEN s"
        env:
          COMMIT: \${{ needs.deploy.outputs.commit }}
          URL: \${{ needs.deploy.outputs.url }}
          SECONDS_TAKEN: \${{ needs.deploy.outputs.seconds }}
`

/** examples/gitlab/.gitlab-ci.yml. */
export const gitlab = `# .gitlab-ci.yml: a commit on main that passes the tests goes live.
#
# Store these in Settings, CI/CD, Variables; setup-ssh prints the values:
#   SSH_DEPLOYMENT_KEY       of type File, protected; its last line needs a line end
#   KNOWN_DEPLOYMENT_HOSTS   of type File
#   STAGING_REMOTE_REPO      and PROXY_JUMP, if you have a jump host; APP_URL, the application's address
stages: [test, deploy, after]

workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH

test:
  stage: test
  image: python:3.13
  script:
    - make install-deps
    # Your own checks: only what passes them goes live.
    - make lint
    - make test

deploy:
  stage: deploy
  # Not -slim or -alpine: deploy needs git, ssh and bash.
  image: node:24
  rules:
    - if: $CI_COMMIT_BRANCH == "main"
  # One at a time. Their order does not matter: if the newer commit goes first, it contains the older one.
  resource_group: production
  # The server finishes a deployment even if its job is cancelled.
  interruptible: false
  environment:
    name: production
    url: $DEPLOY_URL
  variables:
    # The whole history and the tags: a shallow clone cannot be pushed.
    GIT_DEPTH: "0"
    BRANCH_NAME: main
  script:
    # Commit a release's deploy.cjs (0.2 MB) in this folder.
    - node ci/deploy.cjs
  artifacts:
    when: always
    reports:
      # DEPLOY_LIVE, _COMMIT, _VERDICT, _URL and _SECONDS, for the environment and for later jobs.
      dotenv: deploy.env

# Runs once the commit is live, for example to notify others. Leave it out if you need nothing here.
live:
  stage: after
  image: node:24
  rules:
    - if: $CI_COMMIT_BRANCH == "main"
  needs: [deploy]
  script:
    - echo "$DEPLOY_COMMIT is live at $DEPLOY_URL after $DEPLOY_SECONDS s"
`

/** examples/bitbucket/bitbucket-pipelines.yml. */
export const bitbucket = `# bitbucket-pipelines.yml: a commit on main that passes the tests goes live.
#
# Store these in Repository settings, Deployments, production; setup-ssh prints the values:
#   SSH_DEPLOYMENT_KEY       secured, in one line: base64 -w0 < KEYFILE
#   KNOWN_DEPLOYMENT_HOSTS   in one line: base64 -w0
#   STAGING_REMOTE_REPO      and PROXY_JUMP, if you have a jump host
definitions:
  steps:
    - step: &test
        name: Test
        image: python:3.13
        script:
          - make install-deps
          # Your own checks: only what passes them goes live.
          - make lint
          - make test

pipelines:
  pull-requests:
    "**":
      - step: *test
  branches:
    main:
      - step: *test
      - step:
          name: Deploy
          # Not -slim or -alpine: deploy needs git, ssh and bash.
          image: node:24
          # Bitbucket runs one at a time: it pauses a pipeline while another deploys to this environment. Resume it, or
          # leave it: the next push contains it.
          deployment: production
          clone:
            # The whole history and the tags: a shallow clone cannot be pushed.
            depth: full
          script:
            # Commit a release's deploy.cjs (0.2 MB) in this folder.
            - BRANCH_NAME=main node ci/deploy.cjs
`

/** examples/woodpecker/.woodpecker.yml. */
export const woodpecker = `# .woodpecker.yml: a commit on main that passes the tests goes live.
#
# Store these in the repository's settings, Secrets, only for the event push; setup-ssh prints the values:
#   ssh_deployment_key, known_deployment_hosts, staging_remote_repo
when:
  - event: pull_request
  - event: push
    branch: main

# Pipelines wait for each other. If your Woodpecker does not support this yet, nothing is lost: deployments take turns on
# your server, and of those that wait only the newest is deployed.
concurrency:
  limit: 1
  group: deploy

clone:
  git:
    image: woodpeckerci/plugin-git
    settings:
      # The whole history and the tags: a shallow clone cannot be pushed.
      depth: 0
      tags: true
      partial: false

steps:
  - name: test
    image: python:3.13
    commands:
      - make install-deps
      # Your own checks: only what passes them goes live.
      - make lint
      - make test

  - name: deploy
    # Not -slim or -alpine: deploy needs git, ssh and bash.
    image: node:24
    when:
      - event: push
        branch: main
    environment:
      BRANCH_NAME: main
      STAGING_REMOTE_REPO:
        from_secret: staging_remote_repo
      KNOWN_DEPLOYMENT_HOSTS:
        from_secret: known_deployment_hosts
      SSH_DEPLOYMENT_KEY:
        from_secret: ssh_deployment_key
    commands:
      # Commit a release's deploy.cjs (0.2 MB) in this folder.
      - node ci/deploy.cjs
`
