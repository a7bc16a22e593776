"""Speech: lines of a screenplay said by an offline voice, at their times, with the times of words and phones."""
