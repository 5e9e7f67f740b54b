server '127.0.0.1',
       user: ENV.fetch('SSH_USER'),
       roles: %w[app],
       ssh_options: {
         port: ENV.fetch('SSH_PORT').to_i,
         keys: [ENV.fetch('SSH_KEY')],
         keys_only: true,
         config: false,
         user_known_hosts_file: ENV.fetch('SSH_KNOWN_HOSTS'),
         global_known_hosts_file: '/dev/null',
         verify_host_key: :always
       }
