"""The lab: a page in the browser that plays with costs and data, and the server on this computer that computes for it.

======================  =============================================================================================
``asked``               what a page asks for, read and bounded
``costs``               a formula or a table with a model: the cost that is walked on, and what can be drawn of it
``walks``               walks of several methods from one start, and a step of one of them written out
``ground``              the cost around a start: a curve, or contours
``lessons``             examples that are ready to open
``catalogue``           the methods, rates, losses and examples of the library, for the controls of the page
``exports``             a lab session as a script of NumPy, or as one page that replays it
``answers``             every question of the page with the function that answers it
``workers``             processes that answer, and are ended where they take too long
``uploads``             files that were dropped on the page: so many, and no more
``server``              the routes, and who may use them
``static/``             the page: HTML, CSS and JavaScript modules, as they are, without a build step
======================  =============================================================================================

The server keeps nothing of a session but files that were dropped on the page: the state is in the page's address.
"""
