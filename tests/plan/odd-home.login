home=//srv/homes///alice//
