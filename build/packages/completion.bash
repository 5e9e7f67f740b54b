# bash completion for pushlive: programs, commands and options, as each program's own --help names them.
_pushlive() {
  local word=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[1]-} words
  case $COMP_CWORD:$program:${COMP_WORDS[COMP_CWORD - 1]} in
    1:*) words='deploy setup-ssh post-receive --help --version' ;;
    *:--env-file | *:--settings | *:--hook) compopt -o default; return ;;
    *:--print-secrets | *:--ssh-dir) compopt -o dirnames; return ;;
    2:post-receive:*) words='install settings --help --version' ;;
    *:post-receive:*)
      words=$(_pushlive_options post-receive "${COMP_WORDS[2]}")
      if [ "${COMP_WORDS[2]}:$COMP_CWORD" = settings:4 ]; then words="set unset get $words"; else compopt -o default; fi
      ;;
    *:deploy:*)
      words=$(_pushlive_options deploy)
      if [ "$COMP_CWORD" = 2 ]; then words="init check status history log report metrics rollback $words"; else compopt -o default; fi
      ;;
    2:setup-ssh:*) words="set unset get $(_pushlive_options setup-ssh)" ;;
    *:setup-ssh:*) words=$(_pushlive_options setup-ssh) ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
_pushlive_options() { "${COMP_WORDS[0]}" "$@" --help 2>/dev/null | grep -oE -- '--[a-z-]+' | sort -u; }
complete -F _pushlive pushlive
