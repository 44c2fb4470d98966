#!/usr/bin/env bash
# What `tl completion` and `tl man` write, as a shell and man use it.
# usage: test_completion.sh TL
set -u
tl=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0 cases=0

# expect WHAT GOT WANTED
expect() {
  cases=$((cases + 1))
  [ "$2" = "$3" ] && return
  failures=$((failures + 1))
  printf '%s: expected "%s", got "%s"\n' "$1" "$3" "$2"
}

mkdir -p 'photos/more cats' models
touch net.onnx other.ONNX weights.pth notes.txt 'photos/my cat.JPG' photos/dog.png photos/list.csv

# ---- bash ----

"$tl" completion bash > tl.bash || exit 1
bash -n tl.bash || exit 1
source tl.bash

# completed WORD...: candidates for the last word of a command line, sorted, with | between them. "=" and ":" are
# words of their own, as bash hands them over.
completed() {
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
  _tl 2> stderr
  [ ! -s stderr ] || cat stderr
  printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | paste -s -d '|'
}

expect "commands" "$(completed tl f)" "features|find-lr|finetune"
expect "options of the program" "$(completed tl --)" "--help|--version"
expect "options" "$(completed tl finetune --js)" "--json-out"
expect "short and long options" "$(completed tl predict -q)" "-q"
expect "choices" "$(completed tl finetune photos --optimiser '')" "adamw|sgd"
expect "choices that begin so" "$(completed tl finetune --method fe)" "features"
expect "a choice that needs more" "$(completed tl finetune --method la)" "last:"
expect "choices after =" "$(completed tl finetune --classifier = s)" "softmax|svm"
expect "all choices after =" "$(completed tl finetune --classifier =)" "ridge|softmax|svm"
expect "words, but no capitals that stand for more" "$(completed tl find-lr --augment s)" "small"
expect "networks" "$(completed tl finetune --weights '')" "models|net.onnx|other.ONNX|photos"
expect "networks and weights" "$(completed tl export '')" "models|net.onnx|other.ONNX|photos|weights.pth"
expect "folders" "$(completed tl finetune '')" "models|photos"
expect "photos and folders" "$(completed tl predict net.onnx photos/)" "photos/dog.png|photos/more cats|photos/my cat.JPG"
expect "more photos" "$(completed tl predict net.onnx photos/dog.png photos/my)" "photos/my cat.JPG"
expect "the model comes first" "$(completed tl predict --top 3 n)" "net.onnx"
expect "values are no arguments" "$(completed tl predict --top = 3 --preprocess x net.onnx photos/d)" "photos/dog.png"
expect "colons in values" "$(completed tl finetune --method last : 2 ph)" "photos"
expect "any file" "$(completed tl finetune --out no)" "notes.txt"
expect "numbers are the user's" "$(completed tl finetune --epochs '')" ""
expect "shells" "$(completed tl completion '')" "bash|zsh"
expect "after all arguments the options" "$(completed tl man '')" "--help|--quiet|-h|-q"

# Every command and option of the help can be completed.
for command in $("$tl" --help | sed -n '/^Subcommands:/,/^$/ s/^  \([a-z-]*\) .*/\1/p'); do
  expect "the command $command" "$(completed tl "$command")" "$command"
  for option in $("$tl" "$command" --help | grep -oE '^  (-[a-z],)?--[a-z-]+' | grep -oE -- '--.*'); do
    [[ "|$(completed tl "$command" "$option")|" == *"|$option|"* ]] || expect "$command $option" "" "$option"
    cases=$((cases + 1))
  done
done
[ "$cases" -gt 100 ] || expect "options in the help" "$cases cases" "more than 100"

# ---- zsh ----

"$tl" completion zsh > _tl || exit 1
if command -v zsh > /dev/null; then
  expect "zsh -n" "$(zsh -n _tl 2>&1)" ""
  cat > press_tab.zsh << 'END'
# What a press of TAB makes of a line, in a terminal of zsh's own.
zmodload zsh/zpty
zpty shell zsh -f -i
send() { zpty -w shell "$1" }
send 'PS1= PS2=; unset zle_bracketed_paste; setopt no_beep no_auto_list no_auto_menu no_list_ambiguous'
send 'fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -d $PWD/dump'
send 'show() { print -r -- "<$BUFFER>" > line; BUFFER= }; zle -N show; bindkey "^X" show'
send ': > ready'
for ((i = 0; i < 600; i++)); do [[ -e ready ]] && break; sleep 0.05; done
zpty -w -n shell "$1"$'\t\C-x'
for ((i = 0; i < 600; i++)); do [[ -s line ]] && break; sleep 0.05; done
cat line
zpty -d shell
rm -f line ready
END
  zsh_completed() { zsh -f press_tab.zsh "$1"; }
  expect "zsh: a command" "$(zsh_completed 'tl fine')" "<tl finetune >"
  expect "zsh: an option" "$(zsh_completed 'tl finetune --optim')" "<tl finetune --optimiser=>"
  expect "zsh: a choice" "$(zsh_completed 'tl finetune --optimiser ad')" "<tl finetune --optimiser adamw >"
  expect "zsh: a network" "$(zsh_completed 'tl predict n')" "<tl predict net.onnx >"
  expect "zsh: a photo" "$(zsh_completed 'tl predict net.onnx photos/m')" "<tl predict net.onnx photos/m>"
  expect "zsh: one photo" "$(zsh_completed 'tl predict net.onnx photos/d')" "<tl predict net.onnx photos/dog.png >"
  expect "zsh: a folder" "$(zsh_completed 'tl finetune ph')" "<tl finetune photos/>"
else
  echo "skipped: completion in zsh, which is not installed"
fi

# ---- The manual page ----

"$tl" man > tl.1 || exit 1
if command -v groff > /dev/null; then
  expect "groff -ww" "$(groff -ww -man -Tascii tl.1 2>&1 > bold)" ""
  sed $'s/.\b//g' bold > page
  for part in SYNOPSIS COMMANDS 'EXIT STATUS' '--weights' '--epochs'; do
    grep -q -e "$part" page || expect "the manual page" "no $part" "$part"
  done
else
  echo "skipped: the manual page, as groff is not installed"
fi
if command -v mandoc > /dev/null; then
  expect "mandoc -Tlint" "$(mandoc -Tlint -Wwarning tl.1)" ""
else
  echo "skipped: mandoc -Tlint, which is not installed"
fi

echo "$cases cases, $failures failed"
[ "$failures" = 0 ]
