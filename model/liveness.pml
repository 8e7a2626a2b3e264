/*
 * Is this session alive? docs/consistency.md as a model: one session, two replicas, two PostgreSQL servers, Redis.
 * Replica 0 is modelled in full, and may be the one that ends the session. Of replica 1 only the effect on others is: it asks
 * PostgreSQL at any time and writes entries to Redis; with SHARE, it reads the revocations for replica 0.
 *
 * Each step is atomic, as it is in a Node process between two waits and in PostgreSQL at one snapshot. Between two steps
 * any time may pass, so pauses, delays, lost answers and lost messages are orders of steps. A "poll now" message carries
 * no data: it is a revocation reading at another time, and readings happen at any time here.
 *
 * Time is counted in ticks, in ages that stop at the value from which they make no difference. So the search is over all
 * runs of any length. Constants keep the order of the code's: REVOCATION_SECONDS < slowest statement < trust < memory of ends.
 *
 * A line that ends in "rule: ..." is a rule of docs/consistency.md. test/model/model.test.ts removes each of them in turn and
 * expects a counterexample. test/model/liveness-replay.test.ts calls the code at each step that is printed (not with SHARE).
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
#ifndef SHARE
#define SHARE 0
#endif
#define BOUND 1                       /* REVOCATION_SECONDS */
#define SLOW 2                        /* a statement is given up after this */
#define TRUST 1                       /* longest use of an entry in Redis */
#if SHARE
#define REMEMBER 1                    /* no answer is late there, see "world" */
#else
#define REMEMBER (TRUST + SLOW + 1)   /* memory of an end, at least */
#endif
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

/*
 * Shared readings. The reader, or another process that becomes the reader after it: one that starts again. Of its messages, Redis
 * has the newest one and one from before. They come any number of times, in any order, or never.
 */
typedef Reader { bool hasReading; bit server; byte xmax; byte open; bool demoted; bit connection; bool old; byte mark }
typedef Message {
  byte phase; bit server; bool demoted; byte sinceXmax; byte sinceOpen; byte xmax; byte open; bool named; bool partial; byte mark;
  bool forged
}
Reader w;
Message m[2];
/* The newest announcement of replica 0 is unanswered; its age, from before it was sent. */
bool asking;
byte askingAge;
/* Mark of replica 0 in Redis, and likewise in a message. 0: none; 1: of an older announcement; 2: of the newest; 3: of the next one. */
byte mark;

#define FRESH (r.hasReading && r.isPrimary && r.age <= BOUND)
/* A request that begins now must be refused. */
#define LATE (ended[primary] && (sinceEnd > BOUND || (here && answered)))
/* A server that was demoted by a setting tells connections from before that it takes writes. */
#define WRITABLE(s, old) (s == primary || (s == 0 && old))

#define AGE(x, most) if :: x < most -> x = x + 1 :: else fi
#define DOWN(x) if :: x > 0 -> x = x - 1 :: else fi

inline tick () {
  d_step {
    printf("@ tick\n");
    if :: ended[primary] -> AGE(sinceEnd, BOUND + 1) :: else fi;
    if :: r.hasReading -> AGE(r.age, BOUND + 1); if :: REDIS -> AGE(r.gapAge, COVERED) :: else fi :: else fi;
    DOWN(r.remember);
    if :: asking -> AGE(askingAge, BOUND + 1) :: else fi;
    if :: r.p.asked && r.p.age == SLOW -> printf("@ losePoll 2\n"); clearPoll() :: r.p.asked && r.p.age < SLOW -> r.p.age++ :: else fi;
    if
    :: r.q.asked && r.q.age == SLOW -> printf("@ loseQuestion 2\n"); clearQuestion() /* rule: a slow question is given up */
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

/* Id that a snapshot has in its list. */
#define OPEN(s) ((endXid[s] > 0 && !ended[s] && endXid[s] < xmax[s]) -> endXid[s] : 0)

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
  if :: !w.hasReading -> w.old = false :: else fi;
  if
  :: kept -> ended[1] = true; endXid[1] = endXid[0]; nextXid[1] = nextXid[0]; xmax[1] = xmax[0]
  :: else -> answered = false; sinceEnd = 0; r.q.late = false
  fi
}

/* A new connection leads to server s: a name may lead to either for a while. */
inline connectPoll (s) { r.pollServer = s; r.pollOld = (s == 0 && primary == 0) }
inline connectPool (s) {
  if :: SHARE -> r.poolOld = (primary == 0) :: else -> r.poolServer = s; r.poolOld = (s == 0 && primary == 0) fi;
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
  r.p.open = OPEN(s);
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

/* ---- Shared readings ---- */

#define OLDER(x) x = (x == 3 -> 2 : (x == 2 -> 1 : x))
/* Each transaction that snapshot a (xmax and open id) saw as finished had finished in b. */
#define WITHIN(aXmax, aOpen, bXmax, bOpen) (aXmax <= bXmax && (bOpen == 0 || bOpen >= aXmax || bOpen == aOpen))

inline announce () {
  OLDER(mark); OLDER(w.mark); OLDER(m[0].mark); OLDER(m[1].mark);
  asking = true;
  askingAge = 0;
  mark = 2
}

inline connectReader (s) { w.connection = s; w.old = (s == 0 && primary == 0) }

inline clearMessage (i) {
  m[i].phase = 0; m[i].server = 0; m[i].demoted = false; m[i].sinceXmax = 0; m[i].sinceOpen = 0; m[i].xmax = 0; m[i].open = 0;
  m[i].named = false; m[i].partial = false; m[i].mark = 0; m[i].forged = false
}

inline startReader (s) {
  w.hasReading = false; w.server = 0; w.xmax = 0; w.open = 0; w.demoted = false; w.mark = 0;
  connectReader(s)
}

inline collect () { w.mark = mark }

#define ENDS_SINCE(s) (ended[s] && (endXid[s] >= w.xmax || endXid[s] == w.open))
#define DEMOTED(s) (s == 0 && primary == 1)

/* Asked and answered at one moment; published later. tooMany: more ends than one message names. s: where new connections lead. */
inline readForOthers (tooMany, s) {
  clearMessage(0);
  if
  :: !WRITABLE(w.connection, w.old) -> connectReader(s)
  :: else ->
    if
    :: (w.hasReading
      && w.server == w.connection                          /* no run of these parts needs it */
      && w.demoted == DEMOTED(w.connection)                /* rule: a reading that finds another setting of writes is not shared */
      ) ->
      m[0].phase = 1;
      m[0].server = w.connection;
      m[0].demoted = DEMOTED(w.connection);
      m[0].sinceXmax = w.xmax; m[0].sinceOpen = w.open;
      m[0].xmax = xmax[w.connection];
      m[0].open = OPEN(w.connection);
      m[0].named = ENDS_SINCE(w.connection) && !tooMany;
      m[0].partial = ENDS_SINCE(w.connection) && tooMany
    :: else
    fi;
    if :: w.hasReading && w.server == w.connection && w.demoted != DEMOTED(w.connection) -> w.old = false :: else fi;
    w.hasReading = true;
    w.server = w.connection;
    w.xmax = xmax[w.connection];
    w.open = OPEN(w.connection);
    w.demoted = DEMOTED(w.connection)
  fi
}

inline publish () {
  m[0].phase = 2;
  m[0].mark = mark;
  m[0].mark = w.mark                                       /* rule: the reader collects the announcements before it reads */
}

inline keepMessage () {
  m[1].phase = 2; m[1].server = m[0].server; m[1].demoted = m[0].demoted;
  m[1].sinceXmax = m[0].sinceXmax; m[1].sinceOpen = m[0].sinceOpen; m[1].xmax = m[0].xmax; m[1].open = m[0].open;
  m[1].named = m[0].named; m[1].partial = m[0].partial; m[1].mark = m[0].mark; m[1].forged = false
}

/* A writer to Redis without the key. */
inline forgeMessage () {
  m[1].phase = 2; m[1].server = r.server; m[1].demoted = r.demoted; m[1].sinceXmax = r.xmax; m[1].sinceOpen = r.open;
  m[1].xmax = r.xmax; m[1].open = r.open; m[1].named = false; m[1].partial = false; m[1].mark = 2; m[1].forged = true
}

#define KNOWN(i) WITHIN(m[i].xmax, m[i].open, r.xmax, r.open)

inline heardShared (i) {
  if
  :: (r.hasReading && r.isPrimary && m[i].demoted == r.demoted
    && !m[i].forged                                        /* rule: a shared reading without a MAC counts as none */
    && m[i].server == r.server                             /* rule: a shared reading of another server counts as none */
    && (KNOWN(i) || !m[i].partial)                         /* rule: a shared reading that does not name all ends counts as none */
    && (KNOWN(i) || WITHIN(m[i].sinceXmax, m[i].sinceOpen, r.xmax, r.open)) /* rule: a shared reading begins where the own knowledge ends */
    ) ->
    if :: m[i].named && !KNOWN(i) -> hear() :: else fi;
    if
    :: (asking
      && m[i].mark == 2                                    /* rule: a shared reading answers an announcement whose mark it has */
      ) ->
      askingAge = (askingAge < r.age -> askingAge : r.age);
      r.age = 0;
      r.age = askingAge;                                   /* rule: freshness counts from before the announcement */
      asking = false; askingAge = 0
    :: else
    fi;
    if :: !KNOWN(i) -> r.xmax = m[i].xmax; r.open = m[i].open :: else fi
  :: else
  fi
}

/* ---- Requests ---- */

/* Asked and run at one moment, as the revocation reading is. */
inline askQuestion (s) {
  r.q.asked = true;
  r.q.server = s;
  r.q.alive = !ended[s];
  r.q.writable = WRITABLE(s, r.poolOld)
}

inline accept (isLate) { printf("@ accepted\n"); assert(!isLate) }

/*
 * Assumption, see README.md: a replica with a connection from before a demotion by a setting also has readings that are
 * answered. Without them, an old connection to the old primary cannot be told from one to the primary.
 */
#define ASSUMED(s, writable) (s == primary || !(writable) || FRESH)

/* A request joins this question, and does not ask Redis. */
#define JOINED (r.q.asked && r.q.age <= BOUND && !r.q.renewed)

/* isFound: Redis answers, with the entry. */
inline request (isFound) {
  printf("@ request %d %d\n", isFound, LATE);
  if
  :: (true
    && FRESH                                            /* rule: the local cache answers while the reading is fresh */
    && r.alive
    ) -> printf("@ local\n"); accept(LATE)
  :: else ->
    if
    :: r.remember > 0 -> printf("@ refused\n")
    :: else ->
      if
      :: (isFound && !JOINED
        && FRESH                                        /* rule: the Redis cache answers while the reading is fresh */
        && !redis.forged                                   /* rule: an entry without a MAC counts as none */
        && redis.server == r.server                     /* rule: an entry of another server counts as none */
        && redis.age + SLOW < r.gapAge                  /* rule: an entry counts if it was read well after the gap */
        && redis.age <= TRUST                              /* rule: an entry counts for the trust at most */
        ) -> printf("@ copy\n"); accept(LATE); fill()
      :: else ->
        if
        :: !r.q.asked && !SHARE && ASSUMED(r.poolServer, WRITABLE(r.poolServer, r.poolOld)) ->
          printf("@ asked\n");
          askQuestion(r.poolServer);
          r.q.late = LATE
        :: (r.q.asked && ASSUMED(r.q.server, r.q.writable)
          && r.q.age <= BOUND                              /* rule: requests share a question while it is young */
          && !r.q.renewed                                  /* rule: requests do not share a question over a replaced connection */
          ) -> printf("@ joined\n"); r.q.late = r.q.late || LATE
        :: else -> printf("@ dropped\n")
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
  w.old = true;
  if :: (!FAILOVER || !REDIS) && !SHARE -> here = true :: here = false fi;
  do
  :: tick()
  :: d_step { endXid[primary] == 0 -> printf("@ beginEnd\n"); beginEnd() }
  :: d_step { endXid[primary] > 0 && !ended[primary] -> printf("@ commitEnd\n"); commitEnd() }
  :: d_step { here && ended[primary] && !answered -> printf("@ answerEnd\n"); answerEnd() }
  :: d_step { OTHER && !otherOpen && nextXid[primary] <= 2 -> printf("@ beginOther\n"); beginOther() }
  :: d_step { otherOpen -> printf("@ commitOther\n"); commitOther() }
  :: d_step { FAILOVER && primary == 0 && ended[0] -> printf("@ failover 1 %d\n", r.hasReading); failover(true) }
  :: d_step { FAILOVER && primary == 0 -> printf("@ failover 0 %d\n", r.hasReading); failover(false) }
  :: d_step { !SHARE && !r.p.asked -> printf("@ askPoll\n"); askPoll(r.pollServer) }
  :: d_step { r.p.asked -> printf("@ heardPoll 0 0\n"); heardPoll(0, false) }
  :: d_step { r.p.asked -> printf("@ heardPoll 1 0\n"); heardPoll(1, false) }
  :: d_step { r.p.asked && r.p.named -> printf("@ heardPoll 0 1\n"); heardPoll(0, true) }
  :: d_step { r.p.asked && r.p.named -> printf("@ heardPoll 1 1\n"); heardPoll(1, true) }
  :: d_step { r.p.asked -> printf("@ losePoll 0\n"); clearPoll(); connectPoll(0) }
  :: d_step { r.p.asked -> printf("@ losePoll 1\n"); clearPoll(); connectPoll(1) }
  :: d_step { redis.phase == 2 -> request(true) }
  :: d_step { true -> request(false) }
  :: d_step { r.q.asked -> printf("@ heardQuestion 0\n"); heardQuestion(0) }
  :: d_step { r.q.asked -> printf("@ heardQuestion 1\n"); heardQuestion(1) }
  :: d_step { r.q.asked -> printf("@ loseQuestion 0\n"); clearQuestion(); connectPool(0) }
  :: d_step { r.q.asked -> printf("@ loseQuestion 1\n"); clearQuestion(); connectPool(1) }
  :: d_step { REDIS && redis.phase != 1 && !ended[0] -> printf("@ askEntry 0\n"); askEntry(0) }
  :: d_step { REDIS && redis.phase != 1 && primary == 1 && !ended[1] -> printf("@ askEntry 1\n"); askEntry(1) }
  :: d_step { redis.phase == 1 -> printf("@ dateEntry\n"); dateEntry() }
  :: d_step { REDIS && !FAILOVER && !redis.forged -> printf("@ forge\n"); forge() }
  /* With SHARE, own readings and questions are answered at once: the other parts have their delays. Questions go to either server. */
  :: d_step { SHARE -> askPoll(r.pollServer); heardPoll(0, false) }
  :: d_step { SHARE && FAILOVER -> askPoll(r.pollServer); heardPoll(1, false) }
  :: d_step { SHARE && r.hasReading && ASSUMED(0, WRITABLE(0, r.poolOld)) -> askQuestion(0); heardQuestion(0) }
  :: d_step { SHARE && r.hasReading && primary == 1 -> askQuestion(1); heardQuestion(1) }
  :: d_step { SHARE && FAILOVER -> connectPoll(0) }
  :: d_step { SHARE && FAILOVER -> connectPoll(1) }
  :: d_step { SHARE && r.hasReading -> announce() }
  :: d_step { SHARE && m[0].phase != 1 -> collect() }
  :: d_step { SHARE && m[0].phase != 1 -> readForOthers(false, 0) }
  :: d_step { SHARE && m[0].phase != 1 -> readForOthers(false, 1) }
  :: d_step { SHARE && m[0].phase != 1 -> readForOthers(true, 0) }
  :: d_step { SHARE && m[0].phase == 1 -> publish() }
  :: d_step { SHARE == 2 && m[0].phase == 2 -> keepMessage() }
  :: d_step { SHARE && m[0].phase == 2 -> heardShared(0) }
  :: d_step { SHARE && m[1].phase == 2 -> heardShared(1) }
  :: d_step { SHARE && w.hasReading -> startReader(0) }
  :: d_step { SHARE && w.hasReading -> startReader(1) }
  :: d_step { SHARE && FAILOVER -> connectReader(0) }
  :: d_step { SHARE && FAILOVER -> connectReader(1) }
  :: d_step { SHARE == 2 && !FAILOVER && r.hasReading && !m[1].forged -> forgeMessage() }
  :: d_step { (SHARE && !FAILOVER
      && false                                             /* rule: a mark cannot be known before it is announced */
      ) -> mark = 3 }
  od
}
