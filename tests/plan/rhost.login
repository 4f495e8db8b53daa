rhost=::ffff:10.0.0.7
