# SPDX-License-Identifier: LGPL-2.1-only
# shellcheck shell=bash
# shellcheck disable=SC2154 # the tables
#
# Completion for xl-snapshot, and for the snapshot commands of xl.  All other
# commands of xl are left to the completion that is there for them.
#
# make puts the tables of commands and options (tables.c) in front of this.
# Names of domains and snapshots come from outside: they are quoted where they
# go onto the command line, and nothing is evaluated.

# Of the words on standard input, one a line, those that begin with $cur. A ':'
# or '=' would end a word, so it is quoted, too.
_xl_snapshot_offer()
{
    local word

    while IFS= read -r word; do
        [[ -n $word && $word == "$cur"* ]] || continue
        if [[ -z $open ]]; then
            printf -v word %q "$word"
            word=${word//:/\\:}
            word=${word//=/\\=}
        fi
        COMPREPLY+=("$word")
    done
}

_xl_snapshot_files()
{
    compopt -o filenames 2> /dev/null
    mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}

# A word of the command line without its quotes: good enough for names.
_xl_snapshot_unquote()
{
    local word=$1

    [[ $word != \~/* ]] || word=$HOME/${word:2}
    [[ $word != [\"\']* ]] || { word=${word:1}; word=${word%[\"\']}; }
    printf %s "${word//\\/}"
}

# The name of a domain's directory in the store.
_xl_snapshot_encode()
{
    local LC_ALL=C name=$1 out='' c byte

    while [[ -n $name ]]; do
        c=${name:0:1}
        name=${name:1}
        if [[ $c == [A-Za-z0-9_+=.-] && $out$c != . ]]; then
            out+=$c
        else
            printf -v byte %d "'$c"
            printf -v byte %%%02X $((byte & 255))
            out+=$byte
        fi
    done
    printf %s "$out"
}

_xl_snapshot_domains()
{
    local row='^(.*[^ ]) +([0-9]+) +[0-9]+ +[0-9]+ +[a-z-]+ +[0-9.]+$'
    local line directory

    xl list 2> /dev/null | while IFS= read -r line; do
        [[ ! $line =~ $row || ${BASH_REMATCH[2]} == 0 ]] ||
            printf '%s\n' "${BASH_REMATCH[1]}"
    done
    # These two are about domains that run.
    [[ $1 != snapshot-create && $1 != snapshot-check ]] || return 0
    for directory in "$store"/*/; do
        [[ -d $directory ]] || continue
        directory=${directory%/}
        directory=${directory##*/}
        printf '%b\n' "${directory//%/\\x}"
    done
}

_xl_snapshot_snapshots()
{
    local directory manifest

    directory=$store/$(_xl_snapshot_encode "$1")
    for manifest in "$directory"/*/snapshot.json; do
        [[ -f $manifest ]] || continue
        manifest=${manifest%/snapshot.json}
        printf '%s\n' "${manifest##*/}"
    done
}

# What the tables call $1, in the command $2; $3: the domain.
_xl_snapshot_kind()
{
    case $1 in
    DIR)
        _xl_snapshot_files -d ;;
    DOMAIN)
        _xl_snapshot_offer < <(_xl_snapshot_domains "$2" | sort -u) ;;
    SNAPSHOT)
        if [[ $cur == */* ]]; then
            _xl_snapshot_files -f
        else
            _xl_snapshot_offer < <(_xl_snapshot_snapshots "$3")
        fi ;;
    FILE | *-CONFIG)
        _xl_snapshot_files -f ;;
    esac
}

# What the option $1 takes; nothing: no argument.
_xl_snapshot_takes()
{
    local option

    for option in "${options[@]}"; do
        [[ $option != "$1:"* ]] || printf %s "${option#*:}"
    done
}

# A command line whose command, $2, is the word number $1.
_xl_snapshot_line()
{
    local store=${XL_SNAPSHOT_STORE:-$_xl_snapshot_store}
    local arguments=() options=() given=() last='' takes='' plain='' word i

    _xl_snapshot_table "$2"
    for ((i = $1 + 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ -n $takes && $word == '=' ]]; then
            continue
        elif [[ -n $takes ]]; then
            [[ $last != --store ]] || store=$(_xl_snapshot_unquote "$word")
            takes=''
        elif [[ -z $plain && $word == -- ]]; then
            plain=yes
        elif [[ -z $plain && $word == -* ]]; then
            last=$word
            takes=$(_xl_snapshot_takes "$word")
        else
            given+=("$(_xl_snapshot_unquote "$word")")
        fi
    done
    if [[ -n $takes ]]; then
        _xl_snapshot_kind "$takes" "$2" ''
    elif [[ -z $plain && $cur == -* ]]; then
        _xl_snapshot_offer < <(printf '%s\n' "${options[@]%%:*}")
    else
        _xl_snapshot_kind "${arguments[${#given[@]}]}" "$2" "${given[0]}"
    fi
}

# Sets what is completed: $cur without quotes, and $open, a quote around it.
_xl_snapshot_begin()
{
    cur=${COMP_WORDS[COMP_CWORD]}
    open=''
    COMPREPLY=()
    [[ $cur != '=' ]] || cur=''
    [[ $cur != [\"\']* ]] || open=${cur:0:1}
    [[ $cur == \~/* ]] || cur=$(_xl_snapshot_unquote "$cur")
}

# xl-snapshot, where "snapshot-" can be left out.
_xl_snapshot()
{
    local cur open

    _xl_snapshot_begin
    if ((COMP_CWORD > 1)); then
        _xl_snapshot_line 1 "snapshot-${COMP_WORDS[1]#snapshot-}"
        return 0
    fi
    _xl_snapshot_offer < <(
        printf '%s\n' "${_xl_snapshot_commands[@]#snapshot-}")
    [[ -z $cur ]] ||
        _xl_snapshot_offer < <(printf '%s\n' "${_xl_snapshot_commands[@]}")
}

# xl: ours, or what completed xl before.
_xl_snapshot_xl()
{
    local cur open others at=1

    while ((at < COMP_CWORD)) && [[ ${COMP_WORDS[at]} == -* ]]; do
        ((at++))
    done
    if ((at < COMP_CWORD)) &&
        [[ " ${_xl_snapshot_commands[*]} " == *" ${COMP_WORDS[at]} "* ]]; then
        compopt +o nospace +o default 2> /dev/null
        _xl_snapshot_begin
        _xl_snapshot_line "$at" "${COMP_WORDS[at]}"
        return 0
    fi
    COMPREPLY=()
    [[ -z $_xl_snapshot_before ]] || "$_xl_snapshot_before" "$@"
    # The distribution's asks xl help, which has ours if that xl is ours.
    ((at == COMP_CWORD)) && [[ "${COMPREPLY[*]}" != *snapshot-* ]] || return 0
    others=("${COMPREPLY[@]}")
    _xl_snapshot_begin
    _xl_snapshot_offer < <(printf '%s\n' "${_xl_snapshot_commands[@]}")
    COMPREPLY=("${others[@]}" "${COMPREPLY[@]/%/ }")
}

# bash-completion loads the first file it finds for a command. When that is
# this one, under the name of xl, the distribution's is still to be loaded.
_xl_snapshot_chain()
{
    local dirs=${XDG_DATA_DIRS:-/usr/local/share:/usr/share}
    local directories directory file pattern=' -F ([^ ]+) '

    IFS=: read -ra directories <<< "$dirs"
    for directory in "${directories[@]}"; do
        [[ ! $(complete -p xl 2> /dev/null) =~ $pattern ]] || break
        file=$directory/bash-completion/completions/xl
        # shellcheck disable=SC1090 # whatever the distribution has
        [[ ! -r $file || $file -ef ${BASH_SOURCE[0]} ]] || . "$file"
    done
    [[ ! $(complete -p xl 2> /dev/null) =~ $pattern ]] ||
        [[ ${BASH_REMATCH[1]} == _xl_snapshot_xl ]] ||
        _xl_snapshot_before=${BASH_REMATCH[1]}
}

_xl_snapshot_before=${_xl_snapshot_before:-}
_xl_snapshot_chain
complete -F _xl_snapshot xl-snapshot
complete -o nospace -o default -F _xl_snapshot_xl xl
