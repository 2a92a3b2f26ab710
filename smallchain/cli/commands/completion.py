"""`completion`: the script that makes a shell complete commands, flags, kinds, and the names of what the daemon keeps."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from smallchain.cli.console import out
from smallchain.cli.session import Session

DESCRIPTION = """\
Print a script that makes a shell complete commands, flags, kinds and, while a daemon listens, the names of runs, tasks,
agents and the rest."""
EXAMPLES = """
source <(smallchain completion bash)         # in ~/.bashrc
source <(smallchain completion zsh)          # in ~/.zshrc, after compinit
smallchain completion fish > ~/.config/fish/completions/smallchain.fish
"""

_BASH = r"""# smallchain: completion for bash
_smallchain() {
    local what word
    COMPREPLY=()
    {
        IFS= read -r what
        while IFS= read -r word; do COMPREPLY+=("$word"); done
    } < <(command smallchain __complete bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
    case $what in
        files) compopt -o default 2>/dev/null ;;
        folders) compopt -o dirnames 2>/dev/null ;;
    esac
    case ${COMPREPLY[0]-} in
        --*=) compopt -o nospace 2>/dev/null ;;
    esac
    return 0
}
complete -F _smallchain smallchain
"""

_ZSH = r"""#compdef smallchain
# smallchain: completion for zsh
_smallchain() {
    local what line
    local -a lines names shown
    lines=("${(@f)$(command smallchain __complete zsh "${(@Q)words[2,CURRENT-1]}" "${(Q)words[CURRENT]}" 2>/dev/null)}")
    what=$lines[1]
    for line in "${(@)lines[2,-1]}"; do
        names+=("${line%%$'\t'*}")
        if [[ -n ${line#*$'\t'} ]]; then
            shown+=("${line%%$'\t'*}  -- ${line#*$'\t'}")
        else
            shown+=("${line%%$'\t'*}")
        fi
    done
    case $what in
        files) _files ;;
        folders) _files -/ ;;
        *) compadd -l -d shown -a names ;;
    esac
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
    _smallchain "$@"
else
    compdef _smallchain smallchain
fi
"""

_FISH = r"""# smallchain: completion for fish
function __smallchain_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines (command smallchain __complete fish $words[2..-1] "$current" 2>/dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path "$current"
        case folders
            __fish_complete_directories "$current" ''
        case '*'
            if set -q lines[2]
                printf '%s\n' $lines[2..-1]
            end
    end
end
complete -c smallchain -f -a '(__smallchain_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def add_arguments(parser: ArgumentParser) -> None:
    """A shell."""
    parser.add_argument("shell", metavar="SHELL", choices=tuple(SCRIPTS), help=", ".join(SCRIPTS))


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"print the completion for {arguments.shell}"


def execute(arguments: Namespace, session: Session) -> int:
    """Print it."""
    out(SCRIPTS[arguments.shell].rstrip("\n"))
    return 0
