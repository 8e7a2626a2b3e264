/*
 * Single use of a code: src/factors. Three requests at any replicas bring the code of one step, a fourth one that of an older
 * step; a change of the user's factors happens at any moment. Answers may be lost: a request then comes again.
 *
 * A statement is not one step here. PostgreSQL (READ COMMITTED) takes a snapshot, waits for the lock of a row, and evaluates the
 * condition again on the newest version of that row, and of that row alone. Everything else it read stays as old as the
 * snapshot. So each condition stands where PostgreSQL evaluates it.
 *
 * A line that ends in "rule: ..." is a condition or an order that decides. test/model.test.ts removes each of them in turn and
 * expects a counterexample.
 */
#define BUDGET 2                      /* attempts before the lock; 5 in the code */
#define NONE 255

/* Rows of the user, of the requesters' session, and of the device. */
byte version;
byte failures;
bool sessionEnded;
byte lastStep;
byte lock = NONE;                     /* the transaction that has locked the user's row */

/* For the properties alone: successes of each step, the newest accepted step, codes judged since the last success reset the count. */
byte accepted[3];
byte newest;
byte judged;

proctype Request (byte me; byte step) {
  byte judgedVersion;
  byte seenVersion;
  bool seenEnded;
  bool isJudged;
  bool isGranted;

  /* Statement 1. It consumes an attempt and commits before the code is compared. One row: evaluated on its newest version. */
  d_step {
    printf("@ judge %d %d\n", me, step);
    judgedVersion = version;
    if
    :: (true
      && failures < BUDGET                                 /* rule: an attempt is consumed within the budget alone */
      ) ->
      isJudged = true;
      judged++;
      assert(judged <= BUDGET);
      failures++                                           /* rule: an attempt is consumed before its code is judged */
    :: else
    fi
  };
  if :: !isJudged -> goto done :: else fi;

  /* Statement 2: its snapshot, the lock of the user's row with a second look at it, the conditions, the commit. */
  d_step { seenVersion = version; seenEnded = sessionEnded; printf("@ snapshot %d\n", me) };
  atomic { lock == NONE -> lock = me; seenVersion = version; seenEnded = sessionEnded } /* rule: the user's row is locked first */
  d_step {
    printf("@ lock %d\n", me);
    isGranted = (true
      && seenVersion == judgedVersion                      /* rule: the factors are as they were when the code was judged */
      && !seenEnded                                        /* rule: the requester's session is alive */
    )
  };
  /* The device's row: the update waits for its lock and evaluates its condition on the newest version. */
  d_step {
    if
    :: (isGranted
      && lastStep < step                                   /* rule: the step is newer than the last one used */
      ) -> skip;
      lastStep = step                                      /* rule: the step is marked in the statement that grants */
    :: else -> isGranted = false
    fi
  };
  d_step {
    printf("@ result %d %d\n", me, isGranted);
    if
    :: isGranted ->
      accepted[step]++;
      assert(accepted[step] == 1);
      assert(step > newest);
      assert(version == judgedVersion);
      assert(!sessionEnded);
      newest = step;
      failures = 0;
      judged = 0
    :: else
    fi;
    if :: lock == me -> lock = NONE :: else fi
  };
done:
  skip
}

/* A change of the factors, or the end of the session: behind the lock of the user's row. */
proctype Change () {
  atomic { lock == NONE -> lock = 100; printf("@ change\n") };
  if
  :: d_step { version++; printf("@ version\n") }
  :: d_step { sessionEnded = true; printf("@ ended\n") }
  fi;
  d_step { lock = NONE }
}

init {
  atomic {
    run Request(1, 2);
    run Request(2, 2);
    run Request(3, 1);
    run Request(4, 2);
    run Change()
  }
}
