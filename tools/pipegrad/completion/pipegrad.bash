# Completion of pipegrad's commands in bash 4.4 or newer; in ~/.bashrc: eval "$(pipegrad completion bash)"

_pipegrad() {
  local line=${COMP_LINE:0:COMP_POINT} typed=$2
  local head=${line##*[[:blank:]]} add _ word path paths
  # readline breaks words at = and : too, and replaces only what is behind the last of them.
  [[ $typed == [=:] ]] && typed=
  head=${head%"$typed"}
  COMPREPLY=()
  {
    IFS=$'\t' read -r add _
    while IFS=$'\t' read -r word _; do
      [[ $word == *[[:space:]\"\'\\\$\`\;\&\|\<\>\(\)\!\#]* ]] && printf -v word %q "$word"
      COMPREPLY+=("${word#"$head"}")
    done
  } < <(pipegrad --complete "$line" 2> /dev/null)

  if ((${#COMPREPLY[@]} == 0)); then
    # readline itself is best at paths: ~, quotes, colours.
    case $add in
      files) compopt -o default ;;
      folders) compopt -o dirnames -o nospace ;;
    esac
    return
  fi
  case $add in
    files) mapfile -t paths < <(compgen -f -- "$typed") ;;
    folders) mapfile -t paths < <(compgen -d -- "$typed") ;;
  esac
  for path in "${paths[@]}"; do
    printf -v word %q "$path"
    [[ -d $path ]] && word+=/
    COMPREPLY+=("$word")
  done
  if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[=./] ]]; then
    compopt -o nospace
  fi
}

complete -F _pipegrad @commands@
