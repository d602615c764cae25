/* For the cases: what the preprocessor wants to find. */
