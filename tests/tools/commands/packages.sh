# The packages named are those that examples/install_dependencies.sh would install.
source examples/install_dependencies.sh
sudo() {
  local needed
  needed=$(while read -r group package _; do [ "$group" != build ] || echo "$package"; done <<< "$_tl_dependencies")
  diff <(echo "$needed" | sort) <(printf '%s\n' "${@:3}" | sort)
}
# [build]
sudo apt-get install g++ cmake ninja-build libeigen3-dev libstb-dev libprotozero-dev libcli11-dev nlohmann-json3-dev
# [/build]
