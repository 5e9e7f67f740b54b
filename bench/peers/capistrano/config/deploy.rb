# As its documentation's first pages do it, with the steps that the others have.
lock '~> 3.17'
set :application, 'app'
set :repo_url, ENV.fetch('FORGE')
set :branch, 'main'
set :deploy_to, ENV.fetch('DEPLOY_TO')
set :keep_releases, 3

namespace :deploy do
  task :steps do
    on roles(:app) do
      within release_path do
        execute :make, 'install-deps'
        execute :make, 'upgrade-db'
      end
    end
  end

  task :restart do
    on roles(:app) do
      execute :touch, current_path.join('wsgi.py')
    end
  end

  after :updated, :steps
  after :published, :restart
end
