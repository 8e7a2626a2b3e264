/*
 * Is this session alive? docs/consistency.md as a model: one session, two replicas, two PostgreSQL servers, Redis.
 * Replica 0 is modelled in full, and may be the one that ends the session. Of replica 1 only the effect on others is: it asks
 * PostgreSQL at any time and writes entries to Redis.
 *
 * Each step is atomic, as it is in a Node process between two waits and in PostgreSQL at one snapshot. Between two steps
 * any time may pass, so pauses, delays, lost answers and lost messages are orders of steps. A "poll now" message carries
 * no data: it is a revocation reading at another time, and readings happen at any time here.
 *
 * Time is counted in ticks, in ages that stop at the value from which they make no difference. So the search is over all
 * runs of any length. Constants keep the order of the code's: REVOCATION_SECONDS < slowest statement < trust < memory of ends.
 *
 * A line that ends in "rule: ..." is a rule of docs/consistency.md. test/model.test.ts removes each of them in turn and
 * expects a counterexample.
 */
#ifndef FAILOVER
#define FAILOVER 1
#endif
#ifndef REDIS
#define REDIS 1
#endif
#ifndef OTHER
#define OTHER 1
#endif
#define BOUND 1                       /* REVOCATION_SECONDS */
#define SLOW 2                        /* a statement is given up after this */
#define TRUST 1                       /* longest use of an entry in Redis */
#define REMEMBER (TRUST + SLOW + 1)   /* memory of an end, at least */
#define OLD (TRUST + 1)               /* ages of readings stop here */
#define COVERED (OLD + SLOW + 1)       /* ages of gaps stop here */

/* ---- The servers. 0 is the primary until the failover, 1 afterwards. ---- */
bit primary;
byte nextXid[2] = 1;
byte xmax[2] = 1;                     /* one more than the newest id that has finished */
byte endXid[2];                       /* id of the transaction that ends the session; 0: none */
bool ended[2];                        /* it has committed */
bool otherOpen;                       /* another transaction has taken an id */
byte otherXid;
bool here;                            /* replica 0 ends the session */
bool answered;                        /* it has answered */
byte sinceEnd;                        /* age of the commit, stops at BOUND + 1 */

typedef Poll { bool asked; byte age; bit server; byte xmax; byte open; bool named; bool writable; bool demoted }
typedef Question { bool asked; byte age; bit server; bool alive; bool writable; bool gap; bool renewed; bool late }
typedef Entry { byte phase; byte age; bit server; bool forged }
typedef Replica {
  /* The revocation poller. */
  bool hasReading; bit server; byte xmax; byte open; bool demoted; bool isPrimary; byte age; byte gapAge;
  /* Where the connections lead, and if they were made before server 0 was demoted. */
  bit pollServer; bool pollOld; bit poolServer; bool poolOld;
  /* The local cache. */
  bool alive; byte remember;
  Poll p; Question q
}
Replica r;
/*
 * Entry of replica 1 in Redis. 0: none; 1: the statement that reads "alive" runs; 2: dated, and from then on any request may
 * find it or not: a write may be late or lost, and Redis may come back with an old entry. Nothing deletes an entry.
 */
Entry redis;

#define FRESH (r.hasReading && r.isPrimary && r.age <= BOUND)
/* A request that begins now must be refused. */
#define LATE (ended[primary] && (sinceEnd > BOUND || (here && answered)))
/* A server that was demoted by a setting tells connections from before that it takes writes. */
#define WRITABLE(s, old) (s == primary || (s == 0 && old))

#define AGE(x, most) if :: x < most -> x = x + 1 :: else fi
#define DOWN(x) if :: x > 0 -> x = x - 1 :: else fi

inline tick () {
  d_step {
    if :: ended[primary] -> AGE(sinceEnd, BOUND + 1) :: else fi;
    if :: r.hasReading -> AGE(r.age, BOUND + 1); if :: REDIS -> AGE(r.gapAge, COVERED) :: else fi :: else fi;
    DOWN(r.remember);
    if :: r.p.asked && r.p.age == SLOW -> clearPoll() :: r.p.asked && r.p.age < SLOW -> r.p.age++ :: else fi;
    if
    :: r.q.asked && r.q.age == SLOW -> clearQuestion() /* rule: a slow question is given up */
    :: r.q.asked && r.q.age < SLOW -> r.q.age++
    :: else
    fi;
    if
    :: redis.phase == 1 && redis.age == SLOW -> clearEntry() /* rule: a slow question is given up, at each replica */
    :: redis.phase > 0 && !redis.forged -> AGE(redis.age, OLD)
    :: else
    fi
  }
}

/* ---- PostgreSQL ---- */

inline beginEnd () { endXid[primary] = nextXid[primary]; nextXid[primary]++ }
inline commitEnd () {
  ended[primary] = true;
  sinceEnd = 0;
  if :: endXid[primary] >= xmax[primary] -> xmax[primary] = endXid[primary] + 1 :: else fi
}
/* Noted at the replica that ended it after the commit, before the answer. */
inline answerEnd () {
  answered = true;
  hear()                                                   /* rule: the replica that ended it knows before it answers */
}
inline beginOther () { otherOpen = true; otherXid = nextXid[primary]; nextXid[primary]++ }
inline commitOther () {
  otherOpen = false;
  if :: otherXid >= xmax[primary] -> xmax[primary] = otherXid + 1 :: else fi;
  otherXid = 0
}

/*
 * Server 0 is demoted and server 1 promoted. It has the end, or not (the end was lost: then it never happened), and its next
 * id may be one that server 0 had given out.
 */
inline failover (kept) {
  primary = 1;
  otherOpen = false; otherXid = 0;
  /* Assumption, see README.md: before a replica's first reading no server is demoted in a way that its connections outlive. */
  if :: !r.hasReading -> r.pollOld = false; r.poolOld = false :: else fi;
  if
  :: kept -> ended[1] = true; endXid[1] = endXid[0]; nextXid[1] = nextXid[0]; xmax[1] = xmax[0]
  :: else -> answered = false; sinceEnd = 0; r.q.late = false
  fi
}

/* A new connection leads to server s: a name may lead to either for a while. */
inline connectPoll (s) { r.pollServer = s; r.pollOld = (s == 0 && primary == 0) }
inline connectPool (s) {
  r.poolServer = s; r.poolOld = (s == 0 && primary == 0);
  if :: r.q.asked -> r.q.renewed = true :: else fi
}

/* ---- The local cache ---- */

inline hear () { r.alive = false; r.remember = REMEMBER }
/* The local cache keeps "alive" without a limit of time: the readings alone contradict it. The code's limit is one minute. */
inline fill () {
  if
  :: (true
    && r.remember == 0                                  /* rule: an end is stronger than an answer from before */
    ) -> r.alive = true
  :: else
  fi
}

/* ---- Revocation readings ---- */

/*
 * One statement: its rows and its snapshot belong together. It is asked and runs at one moment: if it ran later, the answer
 * would be newer than it counts.
 */
inline askPoll (s) {
  r.p.asked = true;
  r.p.writable = WRITABLE(s, r.pollOld);
  r.p.server = s;
  r.p.demoted = (s == 0 && primary == 1);
  r.p.xmax = xmax[s];
  r.p.open = ((endXid[s] > 0 && !ended[s] && endXid[s] < xmax[s]) -> endXid[s] : 0);
  r.p.named = (r.hasReading && ended[s] && (false
    || endXid[s] >= r.xmax                                 /* rule: a reading names the ids from the last one's xmax on */
    || endXid[s] == r.open                                 /* rule: a reading names the ids that were open at the last one */
  ))
}

inline clearPoll () {
  r.p.asked = false; r.p.age = 0; r.p.server = 0; r.p.xmax = 0; r.p.open = 0; r.p.named = false; r.p.writable = false; r.p.demoted = false
}

inline beginGap () {
  if :: REDIS -> r.gapAge = r.p.age :: else fi;
  r.alive = false;                                      /* rule: a gap empties the local cache */
  if :: r.q.asked -> r.q.gap = true :: else fi
}

/* The setting of writes is another one than at the last reading. */
#define OTHER_SETTING (r.hasReading && r.p.server == r.server && r.p.demoted != r.demoted)

/* s: where new connections lead. tooMany: more ends than one reading names, this one among them. */
inline heardPoll (s, tooMany) {
  if
  :: (false
    || !r.p.writable                                    /* rule: a reading from a server without writes is not used */
    ) ->
    r.isPrimary = false;
    connectPoll(s);
    connectPool(s)                                         /* for availability: the replica is back when the name leads to the primary */
  :: else ->
    if :: r.p.named && !tooMany -> hear() :: else fi;
    if
    :: (false
      || !r.hasReading                                  /* rule: the first reading is a gap */
      || (r.hasReading && r.p.server != r.server) /* rule: another server is a gap */
      || tooMany                                    /* rule: more ends than one reading names are a gap */
      ) -> beginGap()
    :: else
    fi;
    if
    :: OTHER_SETTING ->
      connectPoll(s);                                      /* rule: a changed setting of writes replaces the poller's connection */
      connectPool(s)                                       /* for availability, as above */
    :: else ->
      if :: r.hasReading && r.p.server != r.server -> connectPool(s) :: else fi
    fi;
    if
    :: OTHER_SETTING -> skip /* rule: a reading that finds another setting of writes does not count as fresh */
    :: else ->
      r.isPrimary = true;
      r.age = 0;
      r.age = r.p.age                                      /* rule: freshness counts from the question */
    fi;
    r.hasReading = true;
    r.server = r.p.server; r.xmax = r.p.xmax; r.open = r.p.open; r.demoted = r.p.demoted
  fi;
  clearPoll()
}

/* ---- Requests ---- */

/* Asked and run at one moment, as the revocation reading is. */
inline askQuestion (s) {
  r.q.asked = true;
  r.q.server = s;
  r.q.alive = !ended[s];
  r.q.writable = WRITABLE(s, r.poolOld)
}

inline accept (isLate) { assert(!isLate) }

/*
 * Assumption, see README.md: a replica with a connection from before a demotion by a setting also has readings that are
 * answered. Without them, an old connection to the old primary cannot be told from one to the primary.
 */
#define ASSUMED(s, writable) (s == primary || !(writable) || FRESH)

/* isFound: Redis answers, with the entry. */
inline request (isFound) {
  if
  :: (true
    && FRESH                                            /* rule: the local cache answers while the reading is fresh */
    && r.alive
    ) -> accept(LATE)
  :: else ->
    if
    :: r.remember > 0 -> skip
    :: else ->
      if
      :: (isFound
        && FRESH                                        /* rule: the Redis cache answers while the reading is fresh */
        && !redis.forged                                   /* rule: an entry without a MAC counts as none */
        && redis.server == r.server                     /* rule: an entry of another server counts as none */
        && redis.age + SLOW < r.gapAge                  /* rule: an entry counts if it was read well after the gap */
        && redis.age <= TRUST                              /* rule: an entry counts for the trust at most */
        ) -> accept(LATE); fill()
      :: else ->
        if
        :: !r.q.asked && ASSUMED(r.poolServer, WRITABLE(r.poolServer, r.poolOld)) -> askQuestion(r.poolServer); r.q.late = LATE
        :: (r.q.asked && ASSUMED(r.q.server, r.q.writable)
          && r.q.age <= BOUND                              /* rule: requests share a question while it is young */
          && !r.q.renewed                                  /* rule: requests do not share a question over a replaced connection */
          ) -> r.q.late = r.q.late || LATE
        :: else
        fi
      fi
    fi
  fi
}

inline clearQuestion () {
  r.q.asked = false; r.q.age = 0; r.q.server = 0; r.q.alive = false; r.q.writable = false;
  r.q.gap = false; r.q.renewed = false; r.q.late = false
}

inline heardQuestion (s) {
  if
  :: (false
    || !r.q.writable                                       /* rule: an answer from a server without writes is not used */
    ) -> connectPool(s)
  :: else ->
    if
    :: (false
      || (FRESH && r.q.server != r.server)                 /* no run needs it under ASSUMED */
      ) -> connectPool(s)
    :: else ->
      if
      :: r.q.alive ->
        if :: r.remember == 0 -> accept(r.q.late) :: else fi;
        if
        :: (r.hasReading
          && r.q.server == r.server                        /* the same */
          && !r.q.gap                                      /* rule: an answer to a question from before a gap is not kept */
          ) -> fill()
        :: else
        fi
      :: else
      fi
    fi
  fi;
  clearQuestion()
}

/* ---- Replica 1 writes entries to Redis. ---- */

/* The statement takes its snapshot ... */
inline askEntry (s) { redis.phase = 1; redis.age = 0; redis.server = s; redis.forged = false }
/* ... and reads the clock later: the entry is dated by that. */
inline dateEntry () { redis.phase = 2; redis.age = 0 }
inline clearEntry () { redis.phase = 0; redis.age = 0; redis.server = 0; redis.forged = false }

/* A writer to Redis without the key. */
inline forge () { redis.phase = 2; redis.age = 0; redis.server = primary; redis.forged = true }

active proctype world () {
  r.pollOld = true;
  r.poolOld = true;
  if :: !FAILOVER || !REDIS -> here = true :: here = false fi;
  do
  :: tick()
  :: d_step { endXid[primary] == 0 -> beginEnd() }
  :: d_step { endXid[primary] > 0 && !ended[primary] -> commitEnd() }
  :: d_step { here && ended[primary] && !answered -> answerEnd() }
  :: d_step { OTHER && !otherOpen && nextXid[primary] <= 2 -> beginOther() }
  :: d_step { otherOpen -> commitOther() }
  :: d_step { FAILOVER && primary == 0 && ended[0] -> failover(true) }
  :: d_step { FAILOVER && primary == 0 -> failover(false) }
  :: d_step { !r.p.asked -> askPoll(r.pollServer) }
  :: d_step { r.p.asked -> heardPoll(0, false) }
  :: d_step { r.p.asked -> heardPoll(1, false) }
  :: d_step { r.p.asked && r.p.named -> heardPoll(0, true) }
  :: d_step { r.p.asked && r.p.named -> heardPoll(1, true) }
  :: d_step { r.p.asked -> clearPoll(); connectPoll(0) }
  :: d_step { r.p.asked -> clearPoll(); connectPoll(1) }
  :: d_step { redis.phase == 2 -> request(true) }
  :: d_step { true -> request(false) }
  :: d_step { r.q.asked -> heardQuestion(0) }
  :: d_step { r.q.asked -> heardQuestion(1) }
  :: d_step { r.q.asked -> clearQuestion(); connectPool(0) }
  :: d_step { r.q.asked -> clearQuestion(); connectPool(1) }
  :: d_step { REDIS && redis.phase != 1 && !ended[0] -> askEntry(0) }
  :: d_step { REDIS && redis.phase != 1 && primary == 1 && !ended[1] -> askEntry(1) }
  :: d_step { redis.phase == 1 -> dateEntry() }
  :: d_step { REDIS && !FAILOVER && !redis.forged -> forge() }
  od
}
