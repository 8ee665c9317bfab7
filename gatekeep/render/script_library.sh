# What is the same in the script of every plan: one function for one question, in the words of POSIX sh.
#
# Every answer that something is decided by is taken with || unanswered: inside a condition "set -e" does not hold, and an
# answer that is missing must never look like an empty one.

K=${KUBECTL:-kubectl}   # KUBECTL='kubectl --context staging' names another cluster or user
wrote=0
finished=0
held=
ours=
leader=
answer=

say() { printf '%s\n' "$*"; }

# stop MESSAGE [WHAT TO LOOK AT]...: 3 while nothing is written, else 6
stop() {
  printf 'stopped: %s\n' "$1" >&2
  shift
  for hint in "$@"; do printf '  look at: %s\n' "$hint" >&2; done
  [ "$wrote" -eq 0 ] && exit 3
  exit 6
}

unanswered() { stop 'the API server does not answer, or it forbids the question' "$K version"; }

# look ARGUMENTS...: a question, asked again for a while
look() {
  asked=0
  until $K "$@"; do
    asked=$((asked + 1))
    [ "$asked" -lt 5 ] || return 1
    sleep 1
  done
}

lines() { sed '/^$/d' | sort -u; }
both() { { printf '%s\n' "$1"; printf '%s\n' "$2"; } | sed '/^$/d' | sort | sed -n '$!N;/^\(.*\)\n\1$/P;D'; }
only() { { printf '%s\n' "$1"; both "$1" "$2"; } | sed '/^$/d' | sort | sed '$!N;/^\(.*\)\n\1$/d;P;D'; }
count() { printf '%s\n' "$1" | sed '/^$/d' | grep -c . || :; }
field() { printf '%s\n' "$1" | cut -d'|' -f"$2"; }

# known VALUE: a uid, a number or a name, and nothing else
known() {
  case $1 in
    '' | *[!A-Za-z0-9._-]*) stop "the cluster answered with a value that is none: $1" ;;
  esac
}

# put RESOURCE NAME NAMESPACE UID PATCH LANDED OUTPUT: 0 done (the answer in $answer), 2 gone.
# LANDED tests what the patch leads to: of a write whose answer got lost it says that it was carried out.
put() {
  tries=0
  while [ "$tries" -lt 3 ]; do
    tries=$((tries + 1))
    if answer=$($K patch "$1" "$2" -n "$3" --type=json --field-manager=gatekeep -p "$5" -o "$7"); then
      wrote=1
      return 0
    fi
    uid=$(look get "$1" "$2" -n "$3" --ignore-not-found -o 'jsonpath={.metadata.uid}') || unanswered
    [ "$uid" = "$4" ] || return 2
    if [ -n "$6" ] && answer=$($K patch "$1" "$2" -n "$3" --type=json --field-manager=gatekeep --dry-run=server \
      -p "$6" -o "$7"); then
      wrote=1
      return 0
    fi
    sleep 1
  done
  stop "$1 $2 is not as the plan found it, so a test of its patch fails: $5" "$K get $1 $2 -n $3 -o yaml --show-managed-fields"
}

# holds RESOURCE NAME NAMESPACE TESTS: a patch of tests alone, tried out
holds() {
  tried_out "$@" 2>/dev/null || sleep 1
  tried_out "$@" || stop "$1 $2 is not as the plan found it: plan again" \
    "$K get $1 $2 -n $3 -o yaml --show-managed-fields"
}

tried_out() {
  $K patch "$1" "$2" -n "$3" --type=json --field-manager=gatekeep --dry-run=server -p "$4" -o name >/dev/null
}

# label_pod NAME NAMESPACE UID PATCH LANDED STEP
label_pod() {
  if put pods "$1" "$2" "$3" "$4" "$5" name; then
    ours="$ours $3/$6"
  else
    say "    pod $1 is gone: skipped"
  fi
}

# quoted MARK: -, as null, or =VALUE as a JSON string
quoted() { case $1 in -) printf 'null' ;; *) printf '"%s"' "${1#=}" ;; esac; }

# edit POINTER FROM TO UID: the patch that moves one value; FROM and TO are - (absent) or =VALUE
edit() {
  printf '[{"op":"test","path":"/metadata/uid","value":"%s"},{"op":"test","path":"%s","value":%s}' \
    "$4" "$1" "$(quoted "$2")"
  case $3 in
    -) printf ',{"op":"remove","path":"%s"}]' "$1" ;;
    *) printf ',{"op":"add","path":"%s","value":%s}]' "$1" "$(quoted "$3")" ;;
  esac
}

# landed POINTER TO UID: tests for what an edit leads to
landed() {
  printf '[{"op":"test","path":"/metadata/uid","value":"%s"},{"op":"test","path":"%s","value":%s}]' \
    "$3" "$1" "$(quoted "$2")"
}

# not_ours UID STEP NAME: a pod that this step has labelled already must not need it again
not_ours() {
  case "$ours " in
    *" $1/$2 "*) stop "somebody else changed the label of pod $3 while this script was under way" ;;
  esac
}

let_go() {
  rest=
  for one in $held; do [ "$one" = "$1" ] || rest="$rest $one"; done
  held=$rest
}

# remove PATH UID RESOURCE NAME NAMESPACE: deletes that very object; one that is gone needs nothing
remove() {
  [ -n "$2" ] || return 0
  known "$2"
  body='{"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"uid":"'$2'"}}'
  tries=0
  until printf '%s' "$body" | $K delete --raw "$1" -f - >/dev/null; do
    tries=$((tries + 1))
    there=$(look get "$3" "$4" ${5:+-n "$5"} --ignore-not-found -o 'jsonpath={.metadata.uid}') || return 1
    [ "$there" = "$2" ] || return 0
    [ "$tries" -lt 3 ] || return 1
    sleep 1
  done
}

# drop UID NAMESPACE NAME GATE: a helper Service goes, however the script ends; ? is one whose creation was not answered
drop() {
  helper=$1
  if [ "$helper" = '?' ]; then
    helper=$(look get services -n "$2" --field-selector "metadata.name=$3" \
      -l "app.kubernetes.io/managed-by=gatekeep,gatekeep.dev/gate=$4" -o 'jsonpath={.items[*].metadata.uid}') || helper=
  fi
  remove "/api/v1/namespaces/$2/services/$3" "$helper" services "$3" "$2" ||
    printf 'Service %s/%s is left behind: the next run of gatekeep removes it\n' "$2" "$3" >&2
}

who_leads() {
  $K get lease kube-controller-manager -n kube-system \
    -o 'jsonpath={.spec.holderIdentity}#{.spec.leaseTransitions}' 2>/dev/null || printf 'unknown'
}

SERVICE='{{.metadata.uid}} {{if .spec.publishNotReadyAddresses}}all{{else}}ready{{end}}'
SERVICE="$SERVICE"' {{range $k, $v := .spec.selector}}{{$k}}={{$v}},{{end}}'
SERVICE="$SERVICE"' {{range .spec.ports}}|{{with .name}}{{.}}{{end}}{{end}}|'
SERVICE="$SERVICE"' F{{range .spec.ipFamilies}}x{{end}}'
PODS='{{range .items}}{{$ready := ""}}{{range .status.conditions}}{{if eq .type "Ready"}}{{$ready = .status}}{{end}}{{end}}'
PODS="$PODS"'{{$phase := printf "%v" .status.phase}}{{.metadata.uid}} '
PODS="$PODS"'{{if or .metadata.deletionTimestamp (ne $ready "True")}}hidden'
PODS="$PODS"'{{else if eq $phase "Succeeded" "Failed"}}ended{{else if not .spec.nodeName}}new'
PODS="$PODS"'{{else if not .status.podIP}}new{{else}}ready{{end}}'
PODS="$PODS"' F{{range .status.podIPs}}x{{end}}{{"\n"}}{{end}}'
SLICES='{{range .items}}{{$family := .addressType}}{{$owners := ""}}'
SLICES="$SLICES"'{{range .metadata.ownerReferences}}{{$owners = printf "%s%s," $owners .uid}}{{end}}'
SLICES="$SLICES"'{{$ports := "|"}}{{range .ports}}{{$name := ""}}{{with .name}}{{$name = .}}{{end}}'
SLICES="$SLICES"'{{$ports = printf "%s%s|" $ports $name}}{{end}}{{$owners}} {{$family}} - -{{"\n"}}{{range .endpoints}}'
SLICES="$SLICES"'{{$ready := "true"}}{{with .conditions}}{{$ready = printf "%v" .ready}}{{end}}'
SLICES="$SLICES"'{{if and .targetRef (ne $ready "false")}}{{$owners}} {{$family}} {{$ports}} {{.targetRef.uid}}{{"\n"}}'
SLICES="$SLICES"'{{end}}{{end}}{{end}}'

# ready_pods NAMESPACE SELECTOR FAMILIES: uids in $need, and in $hidden of those that only look ready
ready_pods() {
  pods=$(look get pods -n "$1" -l "$2" -o "go-template=$PODS") || unanswered
  need=$(printf '%s\n' "$pods" | grep " ready $3" | cut -d' ' -f1 | lines) || :
  hidden=$(printf '%s\n' "$pods" | grep ' hidden ' | cut -d' ' -f1 | lines) || :
}

slices_of() {
  found=$(look get endpointslices.discovery.k8s.io -n "$1" -o "go-template=$SLICES" -l \
    "kubernetes.io/service-name=$2,endpointslice.kubernetes.io/managed-by=endpointslice-controller.k8s.io") || unanswered
  mine=$(printf '%s\n' "$found" | grep -F "$3,") || :
}

service_of() {
  service=$(look get service "$2" -n "$1" --ignore-not-found -o "go-template=$SERVICE") || unanswered
  [ -n "$service" ] || stop "Service $1/$2 is gone: plan again" "$K get services -n $1"
}

# endpoints_met NAMESPACE SERVICE SELECTOR: its slices hold exactly the ready pods that match, in a list made just now
endpoints_met() {
  service_of "$1" "$2"
  wanted=$3 space=$1 name=$2
  # shellcheck disable=SC2086
  set -- $service
  [ "$3" = "$wanted" ] ||
    stop "somebody else changed the selector of Service $space/$name: it is $3 now, expected $wanted" \
      "$K get service $name -n $space -o yaml --show-managed-fields"
  ready_pods "$space" "${wanted%,}" "$5"
  slices_of "$space" "$name" "$1"
  [ -n "$mine" ] || return 1
  seen=
  first=1
  for family in $(printf '%s\n' "$mine" | cut -d' ' -f2 | sort -u); do
    here=$(printf '%s\n' "$mine" | grep -F " $family |") || :
    rest=${4#|}
    while [ -n "$rest" ]; do
      here=$(printf '%s\n' "$here" | grep -F "|${rest%%|*}|") || :
      rest=${rest#*|}
    done
    here=$(printf '%s\n' "$here" | cut -d' ' -f4 | lines)
    if [ "$first" -eq 1 ]; then seen=$here; else seen=$(both "$seen" "$here"); fi
    first=0
  done
  [ "$2" = ready ] || seen=$(only "$seen" "$hidden")
  [ "$seen" = "$need" ]
}

# await_endpoints STEP SECONDS NAMESPACE SERVICE SELECTOR
await_endpoints() {
  passed=0
  until endpoints_met "$3" "$4" "$5"; do
    [ "$passed" -lt "$2" ] ||
      stop "step $1: the EndpointSlices of Service $3/$4 list $(count "${seen:-}") ready pods after $2 s, expected the $(count "$need") that match" \
        "$K get endpointslices -n $3 -l kubernetes.io/service-name=$4" "is kube-controller-manager running?"
    sleep 1
    passed=$((passed + 1))
  done
}

slices_exist() {
  service_of "$1" "$2"
  slices_of "$1" "$2" "${service%% *}"
  [ -n "$mine" ]
}

# await STEP SECONDS WHAT CONDITION...
await() {
  passed=0 step=$1 limit=$2 what=$3
  shift 3
  until "$@"; do
    [ "$passed" -lt "$limit" ] || stop "step $step: after $limit s: $what is not so" "is kube-controller-manager running?"
    sleep 1
    passed=$((passed + 1))
  done
}

# same RESOURCE NAME NAMESPACE UID FOUND: 1 for a ReplicaSet that is gone: no pod is born from it any more
same() {
  [ "${5%%|*}" != "$4" ] || return 0
  [ "$1" != replicasets.apps ] || [ -n "$5" ] || return 1
  stop "$1 $3/$2 is gone, or was deleted and created again: plan again"
}

# field_is RESOURCE NAME NAMESPACE UID OUTPUT HOW EXPECTED [WHILE]: OUTPUT gives uid|field|other field|field of WHILE
field_is() {
  found=$(look get "$1" "$2" -n "$3" --ignore-not-found -o "$5") || unanswered
  same "$1" "$2" "$3" "$4" "$found" || return 0
  [ "$#" -lt 8 ] || [ "$(field "$found" 4)" = "$8" ] || return 0
  value=$(field "$found" 2)
  case $6 in
    least) [ "${value:-0}" -ge "$7" ] ;;
    number) [ "${value:-0}" = "$7" ] ;;
    text) [ "$value" = "$7" ] ;;
    other)
      other=$(field "$found" 3)
      [ "${value:-0}" = "${other:-0}" ]
      ;;
    *) return 1 ;;
  esac
}

SEEN='jsonpath={.metadata.uid}|{.status.observedGeneration}'

# born_with NAMESPACE PROBE OUTPUT EXPECTED: a pod that is created in a dry run has the label as later ones are to have it
born_with() {
  value=$(printf '%s' "$2" | $K create --dry-run=server -n "$1" -f - -o "$3") && [ "$value" = "$4" ]
}

# enough NAMESPACE SERVICE FLOOR NOW THEN: the last look before a step that takes pods out
enough() {
  least=$3
  [ "$4" -ge "$least" ] || least=$4
  [ "$5" -ge "$least" ] ||
    stop "this would leave Service $1/$2 with $5 ready endpoints, at least $least must stay: plan again" \
      "$K get pods -n $1"
}

# keeps_switching NAMESPACE SERVICE FLOOR NEW-SELECTOR
keeps_switching() {
  service_of "$1" "$2"
  selector=$(printf '%s' "$service" | cut -d' ' -f3)
  ready_pods "$1" "${selector%,}" "$(printf '%s' "$service" | cut -d' ' -f5)"
  now=$(count "$need")
  ready_pods "$1" "$4" "$(printf '%s' "$service" | cut -d' ' -f5)"
  enough "$1" "$2" "$3" "$now" "$(count "$need")"
}

# keeps_without NAMESPACE SERVICE FLOOR KEY UIDS: with the label KEY taken off those pods
keeps_without() {
  service_of "$1" "$2"
  selector=$(printf '%s' "$service" | cut -d' ' -f3)
  case ",$selector" in *",$4="*) ;; *) return 0 ;; esac
  ready_pods "$1" "${selector%,}" "$(printf '%s' "$service" | cut -d' ' -f5)"
  enough "$1" "$2" "$3" "$(count "$need")" "$(count "$(only "$need" "$5")")"
}

# not_local NAMESPACE SERVICE
not_local() {
  policy=$(look get service "$2" -n "$1" -o \
    'jsonpath={.spec.internalTrafficPolicy}|{.spec.type} {.spec.externalTrafficPolicy}') || unanswered
  case $policy in
    Local\|* | *'|NodePort Local' | *'|LoadBalancer Local')
      stop "Service $1/$2 has a Local traffic policy; whether each node keeps an endpoint only gatekeep apply looks at" ;;
  esac
}

# absent RESOURCE NAME NAMESPACE
absent() {
  there=$(look get "$1" "$2" -n "$3" --ignore-not-found -o name) || unanswered
  [ -z "$there" ] || stop "$1 $2 stands already, perhaps of a run that was killed: gatekeep apply removes it" \
    "$K get $1 $2 -n $3 -o yaml"
}

# unlocked NAMESPACE LEASE
unlocked() {
  holder=$($K get lease "$2" -n "$1" --ignore-not-found -o 'jsonpath={.spec.holderIdentity}') || unanswered
  [ -z "$holder" ] || stop "a run of gatekeep holds the lock of this gate: $holder" "$K get lease $2 -n $1 -o yaml"
}

# as_planned NAMESPACE TEMPLATE EXPECTED: of the named pods that live, none has changed
as_planned() {
  live=$(look get pods -n "$1" -o "go-template=$2") || unanswered
  changed=$(only "$3" "$(both "$3" "$(printf '%s\n' "$live" | lines)")" | cut -d' ' -f1)
  changed=$(both "$(printf '%s\n' "$changed" | lines)" "$(printf '%s\n' "$live" | cut -d' ' -f1 | lines)")
  [ -z "$changed" ] || stop "labels changed since the plan was made, of the pods with these uids: $(printf '%s' "$changed" | tr '\n' ' ')" \
    "$K get pods -n $1 --show-labels"
}

REVISIONS='{{range .items}}{{$item := .}}{{$hash := ""}}{{with .metadata.labels}}'
REVISIONS="$REVISIONS"'{{with index . "controller-revision-hash"}}{{$hash = .}}{{end}}{{end}}'
REVISIONS="$REVISIONS"'{{range .metadata.ownerReferences}}{{if .controller}}{{.uid}} {{printf "%.0f" $item.revision}}'
REVISIONS="$REVISIONS"' {{$item.metadata.name}} {{$hash}}{{"\n"}}{{end}}{{end}}{{end}}'
CARRIED='{{range .items}}{{$hash := ""}}{{with .metadata.labels}}{{with index . "controller-revision-hash"}}'
CARRIED="$CARRIED"'{{$hash = .}}{{end}}{{end}}{{range .metadata.ownerReferences}}{{if .controller}}{{.uid}} {{$hash}}{{"\n"}}'
CARRIED="$CARRIED"'{{end}}{{end}}{{end}}'

# one_revision NAMESPACE NAME UID REVISION [NEWER]: its pods are of that revision, all of them
one_revision() {
  carried=$(look get pods -n "$1" -o "go-template=$CARRIED") || unanswered
  others=$(printf '%s\n' "$carried" | grep -F "$3 " | grep -vxF -e "$3 $4" -e "$3 ${5:-$4}") || :
  [ -z "$others" ] || stop "$2: its pods are of several revisions; gatekeep apply can tell which equal the newest" \
    "$K get pods -n $1 -L controller-revision-hash"
}

# content NAMESPACE REVISION PATCH: what a ControllerRevision holds, with labels of its template set or taken off
content() {
  document=$(look get controllerrevisions.apps "$2" -n "$1" -o json) || return 1
  found=$(printf '%s\n' "$document" | $K patch --local -f - --type=merge -p "$3" -o 'jsonpath={.data}') || return 1
  [ -n "$found" ] || return 1
  printf '%s' "$found" | sed 's/"[A-Za-z]*":null,//g;s/,"[A-Za-z]*":null//g'
}

# find_revision STEP NAMESPACE NAME UID REVISION COLUMN WITH WITHOUT: the newest revision, in $newest. It must equal
# that of the pods but for the label, or a change of another writer would be taken for what the pods are.
find_revision() {
  all=$(look get controllerrevisions.apps -n "$2" -o "go-template=$REVISIONS") || unanswered
  all=$(printf '%s\n' "$all" | grep "^$4 ") || stop "$3 has no ControllerRevision" "$K get controllerrevisions -n $2"
  last=$(printf '%s\n' "$all" | sort -t' ' -k2,2n | sed -n '$p')
  carried=$(printf '%s' "$5" | sed 's/\./\\./g')
  case $6 in
    3) base=$(printf '%s\n' "$all" | sed -n "s/^[^ ]* [^ ]* \($carried\) .*\$/\1/p") ;;
    *) base=$(printf '%s\n' "$all" | sed -n "s/^[^ ]* [^ ]* \([^ ]*\) $carried\$/\1/p") ;;
  esac
  [ -n "$base" ] || stop "$3: revision $5 of its pods is not among its ControllerRevisions" "$K get controllerrevisions -n $2"
  newest=$(printf '%s' "$last" | cut -d' ' -f"$6")
  known "$newest"
  old=$(content "$2" "$base" "$7") || unanswered
  new=$(content "$2" "$(printf '%s' "$last" | cut -d' ' -f3)" "$8") || unanswered
  [ "$old" = "$new" ] ||
    stop "step $1: another writer changed the pod template of $3, and its pods must not be marked as being of it" \
      "$K get controllerrevisions -n $2"
  one_revision "$2" "$3" "$4" "$5" "$newest"
}

finish() {
  code=$?
  trap - EXIT
  trap '' HUP INT TERM
  set +e
  clean_up
  if [ "$finished" -eq 0 ]; then
    [ "$code" -ne 0 ] || code=1
    [ -z "$held" ] || printf 'still held, which restarts nothing:%s\n' "$held" >&2
    if [ "$wrote" -eq 1 ]; then
      printf 'Steps are left. Do not run this script again: its tests are for the state before. To go on:\n' >&2
      printf '  gatekeep apply, or gatekeep plan -o script and the script that it makes\n' >&2
    else
      printf 'Nothing was written.\n' >&2
    fi
  fi
  exit "$code"
}
