#compdef @commands@
# Completion of pipegrad's commands in zsh; in ~/.zshrc: eval "$(pipegrad completion zsh)"

_pipegrad() {
  local add prefix line word about found=1
  local -a answer parts whole
  answer=("${(@f)$(pipegrad --complete "${(j: :)words[1,CURRENT-1]} $QIPREFIX$PREFIX" 2> /dev/null)}")
  add=${answer[1]%%$'\t'*} prefix=${answer[1]#*$'\t'}
  for line in "${(@)answer[2,-1]}"; do
    word=${line%%$'\t'*} about=${line#*$'\t'}
    word=${word//:/\\:}${about:+:$about}
    # A word that is to be continued gets no space.
    if [[ ${line%%$'\t'*} == *[=./] ]]; then
      parts+=("$word")
    else
      whole+=("$word")
    fi
  done
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
  # This file is a function of fpath.
  _pipegrad "$@"
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
  compdef _pipegrad @commands@
fi
