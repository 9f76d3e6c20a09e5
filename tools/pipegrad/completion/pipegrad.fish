# Completion of pipegrad's commands in fish; in ~/.config/fish/config.fish: pipegrad completion fish | source

function __pipegrad
    set -l answer (pipegrad --complete (commandline -cp | string collect) 2>/dev/null)
    set -l add (string split \t -- $answer[1])
    printf '%s\n' $answer[2..]
    # The part of the word that fish is to complete as a path.
    set -l path (string sub -s (math 1 + (string length -- "$add[2]")) -- (commandline -ct))
    switch $add[1]
        case files
            printf "$add[2]%s\n" (complete -C "'' $path")
        case folders
            printf "$add[2]%s\n" (__fish_complete_directories $path '')
    end
end

for command in @commands@
    complete -c $command -f -a '(__pipegrad)'
end
