#!/bin/sh
# A command of the wheel, which holds no links: scripts/dist.sh puts the name of a tool in place of @tool@.
self=$0
case $self in */*) ;; *) self=./$self ;; esac
[ -L "$self" ] && self=$(readlink -f "$self")
exec "${self%/*}/pipegrad" @tool@ "$@"
