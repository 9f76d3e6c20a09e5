#compdef @commands@
# Completion of pipegrad's commands in zsh; in ~/.zshrc: eval "$(pipegrad completion zsh)"

_pipegrad() {
  local add prefix word about
  local -a answer parts whole
  # Words that are to be continued get no space.
  answer=("${(@f)$(pipegrad --complete "${(j: :)words[1,CURRENT-1]} $QIPREFIX$PREFIX" 2> /dev/null)}")
  IFS=$'\t' read -r add prefix <<< "$answer[1]"
  for line in "${(@)answer[2,-1]}"; do
    word=${line%%$'\t'*} about=${line#*$'\t'}
    word=${word//:/\\:}
    [[ -n $about ]] && about=":$about"
    if [[ $word == *[=./] ]]; then
      parts+=("$word$about")
    else
      whole+=("$word$about")
    fi
  done
  local found=1
  (( $#parts )) && _describe -t parts setting parts -S '' && found=0
  (( $#whole )) && _describe -t whole value whole && found=0
  [[ -n $prefix ]] && compset -P "${(b)prefix}"
  case $add in
    files) _files && found=0 ;;
    folders) _files -/ && found=0 ;;
  esac
  return found
}

if [[ $funcstack[1] == _pipegrad ]]; then
  # The file is a function of fpath.
  _pipegrad "$@"
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
  compdef _pipegrad @commands@
fi
