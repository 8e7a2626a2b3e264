/*
 * Rotation of refresh tokens: src/sessions/rotation.ts. A thief has copied a token. Owner and thief, in two networks, refresh
 * in any order; answers get lost, so that a token comes again, and two tabs of the owner bring one token at the same moment.
 *
 * The statement updates one row, so PostgreSQL evaluates all of it on the newest version of that row: one step.
 *
 * A line that ends in "rule: ..." is a condition that decides. test/model.test.ts removes each of them in turn and expects a
 * counterexample.
 */
#define MOST 6                        /* generations */
#define OWNER 1
#define THIEF 2
#define NONE 255

/* The session's row. */
byte generation;
byte rotatedNetwork;
byte reusedGeneration = NONE;
bool ended;

/* The newest token of each holder. */
byte held[3];

/* For the properties alone. */
byte children[MOST];                  /* tokens that were made of each token */
bool usedBy[18];                      /* [3 * generation + holder]: the token was accepted from this holder */
bool wasUsed[MOST];                   /* the token has made its next one */
bool thiefTried;

#define NEWEST (generation == t)
#define PARENT (generation == t + 1)
#define ELSEWHERE (PARENT && rotatedNetwork != who && reusedGeneration != generation)

/* Two tabs of the owner alone never end the session. */
inline endIsRight () { assert(thiefTried) }

inline use (who, token) {
  d_step {
    t = token;
    printf("@ use %d %d\n", who, t);
    if :: who == THIEF -> thiefTried = true :: else fi;
    isAccepted = (true
      && !ended                                            /* rule: an ended session refreshes nothing */
    );
    isKept = (NEWEST || (PARENT
      && !(ELSEWHERE && reusedGeneration + 1 == generation) /* rule: parents from another network twice in a row end the session */
    ));
    if
    :: isAccepted && !isKept -> ended = true; endIsRight(); isAccepted = false /* rule: any older token ends the session */
    :: else
    fi;
    if
    :: isAccepted ->
      assert(!endedBefore);
      /* Once the token after the next one exists, the next one was used: then this one opens nothing. */
      assert(!(t + 1 < MOST && wasUsed[t + 1]));
      usedBy[3 * t + who] = true;
      /* Two holders in two networks get no further than one common generation. */
      assert(!(t > 0 && usedBy[3 * t + OWNER] && usedBy[3 * t + THIEF] && usedBy[3 * t - 3 + OWNER] && usedBy[3 * t - 3 + THIEF]));
      if
      :: ELSEWHERE -> reusedGeneration = generation         /* rule: a parent from another network is remembered */
      :: else
      fi;
      if
      :: (true
        && NEWEST                                          /* rule: only the newest token makes another one */
        ) ->
        children[t]++;
        assert(children[t] == 1);
        wasUsed[t] = true;
        rotatedNetwork = who;                              /* rule: the network of the newest token is remembered */
        generation = generation + 1                        /* rule: the generation is raised in the same statement */
      :: else
      fi;
      answer = t + 1
    :: else
    fi;
    printf("@ used %d\n", (isAccepted -> answer : NONE));
    endedBefore = ended
  }
}

active proctype world () {
  byte t;
  byte answer;
  bool isAccepted;
  bool isKept;
  bool endedBefore;
  do
  :: held[OWNER] + 1 < MOST -> use(OWNER, held[OWNER]); if :: isAccepted -> held[OWNER] = answer :: true fi; isAccepted = false
  :: held[THIEF] + 1 < MOST -> use(THIEF, held[THIEF]); if :: isAccepted -> held[THIEF] = answer :: true fi; isAccepted = false
  /* Another tab, with the token before. */
  :: held[OWNER] > 0 && held[OWNER] == generation -> use(OWNER, held[OWNER] - 1); isAccepted = false
  :: d_step { !ended -> ended = true; endedBefore = true; printf("@ end\n") }
  od
}
